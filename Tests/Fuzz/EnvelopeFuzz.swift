// libFuzzer's way into the envelope scanner. Build and run it for as long as you like:
//
//     swiftc -O -parse-as-library -swift-version 6 -sanitize=fuzzer,address Sources/Wire/*.swift Tests/Fuzz/EnvelopeFuzz.swift -o .build/envelope-fuzz
//     .build/envelope-fuzz -max_total_time=60 -only_ascii=0 -max_len=400
//
// Three claims: no input traps it or makes it read outside; every field lies within the line; and what it
// takes for JSON, Foundation's decoder takes too (but for numbers that fit no Double, and lone surrogates).

import FoundationEssentials

private enum AnyJSON: Decodable {
  case value
  init(from decoder: any Decoder) throws {
    self = .value
    if var array = try? decoder.unkeyedContainer() {
      while !array.isAtEnd { _ = try array.decode(AnyJSON.self) }
      return
    }
    struct Key: CodingKey {
      var stringValue: String
      var intValue: Int? { nil }
      init?(stringValue: String) { self.stringValue = stringValue }
      init?(intValue: Int) { nil }
    }
    if let object = try? decoder.container(keyedBy: Key.self) {
      for key in object.allKeys { _ = try object.decode(AnyJSON.self, forKey: key) }
    }
  }
}

@_cdecl("LLVMFuzzerTestOneInput") public func fuzz(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  // A copy of exactly that size: what is read behind it is found.
  let line = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 1)
  defer { line.deallocate() }
  line.copyMemory(from: UnsafeRawBufferPointer(start: bytes, count: count))
  var envelope = Envelope()
  guard Envelope.scan(UnsafeRawBufferPointer(line), into: &envelope) == 0 else { return 0 }
  for field in [
    envelope.target, envelope.source, envelope.method, envelope.trace, envelope.id, envelope.re, envelope.payload, envelope.object,
  ]
  where field.isPresent {
    precondition(field.range.upperBound <= count, "a field lies within the line")
    if field.escaped { _ = unescaped(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(line)[field.range])) }
  }
  let text = String(decoding: line, as: UTF8.self)
  if text.contains("\\ud") || text.contains("\\uD") || text.contains("e") || text.contains("E") { return 0 }
  do { _ = try JSONDecoder().decode(AnyJSON.self, from: Data(line)) } catch {
    fatalError("the scanner takes what Foundation refuses: \(text): \(error)")
  }
  return 0
}

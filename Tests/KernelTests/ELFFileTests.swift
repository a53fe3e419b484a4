import Foundation
import TestSupport
import Testing

@testable import Kernel

@Suite struct ELFFileTests {
  private static func bytes(_ fixture: String, defines: [String: String] = [:], options: [String] = []) throws -> [UInt8] {
    Array(try Data(contentsOf: URL(filePath: Fixtures.build(fixture, defines: defines, options: options))))
  }

  @Test("a persona in C parses: entry, needed libraries, nodelete, about text")
  func persona() throws {
    let file = try ELFFile(Self.bytes("echo"))
    #expect(file.exportsEntry)
    #expect(file.isNoDelete)
    #expect(!file.hasOwnSwiftRuntime)
    #expect(file.needed.contains { $0.hasPrefix("libc.so") })
    #expect(try file.aboutTexts.map { try About(parsing: $0).name } == ["ECHO"])
  }

  @Test(
    "other linkers, strip and a section of its own for the about text change nothing",
    arguments: ["-s", "-Wl,--build-id", "-Wl,-z,now", "-g3", "-Wl,--hash-style=sysv"])
  func variants(option: String) throws {
    let file = try ELFFile(Self.bytes("echo", options: [option]))
    #expect(file.exportsEntry && file.aboutTexts.count == 1)
  }

  @Test("a file cut anywhere from 1 to 99 % is named incomplete")
  func cuts() throws {
    let whole = try Self.bytes("echo")
    for percent in 1...99 {
      let cut = Array(whole.prefix(whole.count * percent / 100))
      let error = #expect(throws: ELFFile.Malformed.self, "\(percent) %") { try ELFFile(cut) }
      guard case .incomplete(cut.count, _) = error else {
        Issue.record("\(percent) %: \(String(describing: error))")
        continue
      }
      #expect(!ELFFile.isComplete(cut))
    }
    for count in [0, 1, 3, 4, 16, 63, 64, whole.count - 1] {
      #expect(!ELFFile.isComplete(Array(whole.prefix(count))), "\(count) bytes")
    }
    #expect(ELFFile.isComplete(whole))
  }

  @Test("a file with something after its end is not taken for whole")
  func trailing() throws {
    let whole = try Self.bytes("echo")
    #expect(throws: ELFFile.Malformed.trailing(bytes: whole.count + 3, expected: UInt64(whole.count))) { try ELFFile(whole + [1, 2, 3]) }
  }

  @Test("random bytes anywhere never trap the parser")
  func flips() throws {
    let seed = ProcessInfo.processInfo.environment["BAT_SEED"].flatMap(UInt64.init) ?? .random(in: 0 ... .max)
    print("ELFFileTests.flips: BAT_SEED=\(seed)")
    var random = SplitMix(state: seed)
    let whole = try Self.bytes("echo")
    let sectionHeaders = Int(whole.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 40, as: UInt64.self) })
    for round in 0..<2000 {
      var bytes = whole
      for _ in 0..<Int.random(in: 1...8, using: &random) {
        // Mostly where the parser looks: headers, section headers, the tables before the code.
        let at =
          switch round % 4 {
          case 0: Int.random(in: 0..<64, using: &random)
          case 1: Int.random(in: sectionHeaders..<whole.count, using: &random)
          case 2: Int.random(in: 64..<min(0x1000, whole.count), using: &random)
          default: Int.random(in: 0..<whole.count, using: &random)
          }
        bytes[at] = [0, 0xFF, 0x7F, 0x80, .random(in: 0...255, using: &random)].randomElement(using: &random)!
      }
      if round % 5 == 0 { bytes.removeLast(Int.random(in: 0..<bytes.count, using: &random)) }
      _ = try? ELFFile(bytes)
    }
  }

  @Test("what is no ELF file, and what is one for another machine, is named")
  func strangers() throws {
    #expect(throws: ELFFile.Malformed.notELF) { try ELFFile(Array("#!/bin/sh\nexit 1\n".utf8)) }
    let whole = try Self.bytes("echo")
    func changed(_ at: Int, _ value: UInt8) -> [UInt8] {
      var bytes = whole
      bytes[at] = value
      return bytes
    }
    for (at, value, word) in [(4, 1, "32-bit"), (5, 2, "big-endian"), (18, 243, "riscv"), (16, 2, "-shared")] as [(Int, UInt8, String)] {
      let error = #expect(throws: ELFFile.Malformed.self) { try ELFFile(changed(at, value)) }
      #expect(error?.description.contains(word) == true, "\(error?.description ?? "")")
    }
  }

  @Test("a hidden entry is no entry")
  func hidden() throws {
    #expect(try !ELFFile(Self.bytes("missing_symbol")).exportsEntry)
  }
}

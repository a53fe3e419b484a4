import Foundation
import Services
import Wire

/// Our own store at work, in a process that does nothing else; prints `EngineFigures` as JSON.
struct StoreMeasurement {
  let workload: Workload
  init(_ workload: Workload) { self.workload = workload }

  /// - Parameter isWhole: with texts and metadata; else vectors alone.
  func run(isWhole: Bool) async throws {
    let folder = workload.folder + "/store-\(isWhole ? "whole" : "vectors")"
    let store = SQLiteStore(folder: folder)
    _ = try await store.perform(.create("bench"), as: .user)
    var seconds = 0.0
    for first in stride(from: 0, to: workload.count, by: workload.batch) {
      let range = first..<min(first + workload.batch, workload.count)
      let documents = try zip(range, Workload.read(workload.vectorsPath, workload.dimension, range)).map { number, vector in
        Document(
          id: "\(number)", text: isWhole ? Workload.text(number) : nil,
          metadata: isWhole ? ["share": .int(Workload.share(number)), "kind": .string("k\(number % 7)")] : [:],
          embedding: Embedding(model: "random", vector: vector))
      }
      let begin = ContinuousClock.now
      _ = try await store.perform(.add("bench", documents), as: .user)
      seconds += begin.duration(to: .now) / .seconds(1)
    }
    let queries = try Workload.read(workload.queriesPath, workload.dimension, 0..<workload.queries)
    var figures = EngineFigures(insertSeconds: seconds, series: [], disk: 0, resident: 0, anonymous: 0)
    figures.series.append(try await series("all", queries, store) { _ in .everything })
    if isWhole {
      for part in Workload.selectivities {
        let bound = Int(part * Double(Workload.shares))
        let name = "\(Int(part * 100)) %"
        func filter(_ bound: Int) -> Filter { .key("share", .below(.int(bound), orEqual: false)) }
        figures.series.append(try await series(name, queries, store) { _ in filter(bound) })
        figures.series.append(try await series("new \(name)", queries, store) { filter(bound - 1 - $0) })
      }
    }
    (figures.resident, figures.anonymous) = Self.memory()
    store.stop()
    figures.disk = try FileManager.default.contentsOfDirectory(atPath: folder).reduce(0) {
      $0 + (try FileManager.default.attributesOfItem(atPath: folder + "/" + $1)[.size] as! Int)
    }
    print(String(decoding: try JSONEncoder().encode(figures), as: UTF8.self))
  }

  private func series(_ name: String, _ queries: [[Float]], _ store: SQLiteStore, _ filter: (Int) -> Filter) async throws
    -> EngineFigures.Series
  {
    var series = EngineFigures.Series(name: name, milliseconds: [], found: [])
    // The first is for caches.
    for (number, vector) in ([queries[0]] + queries).enumerated() {
      let query = MemoryQuery(
        embedding: Embedding(model: "random", vector: vector), limit: workload.limit, filter: filter(max(0, number - 1)))
      let begin = ContinuousClock.now
      let hits = try await store.perform(.query("bench", query), as: .user)
      let time = begin.duration(to: .now) / .milliseconds(1)
      if number == 0 {
        series.first = time
        continue
      }
      series.milliseconds.append(time)
      series.found.append(hits.map { Int($0.document.id)! })
    }
    return series
  }

  /// Resident bytes of this process, and those of them that are no file's.
  private static func memory() -> (Int, Int) {
    let file = FileHandle(forReadingAtPath: "/proc/self/status")
    let status = String(decoding: (try? file?.readToEnd()) ?? Data(), as: UTF8.self)
    func bytes(_ name: String) -> Int {
      let line = status.split(separator: "\n").first { $0.hasPrefix(name + ":") } ?? ""
      return (Int(line.filter(\.isNumber)) ?? 0) << 10
    }
    return (bytes("VmRSS"), bytes("RssAnon"))
  }
}

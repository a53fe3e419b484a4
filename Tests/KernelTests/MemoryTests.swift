import Foundation
import Protocol
import System
import TestSupport
import Testing

@testable import Kernel

/// A memory that answers by a script, on a thread of its own.
private final class ScriptedMemory: MemoryService {
  let requested = Promise<MemoryRequest>()
  private let script: @Sendable (MemoryRequest) -> Result<MemoryResult, Failure>?
  /// `nil` from the script: it never answers.
  init(_ script: @escaping @Sendable (MemoryRequest) -> Result<MemoryResult, Failure>?) { self.script = script }
  func perform(_ request: MemoryRequest, onEnd: @escaping @Sendable (Result<MemoryResult, Failure>) -> Void) {
    requested.fulfill(request)
    let script = script
    try! startThread(name: "memory") { if let result = script(request) { onEnd(result) } }
  }
  func configure(_ configuration: MemoryConfiguration) {}
  func statistics() -> [UInt8] { Array(#"{"documents":7}"#.utf8) }
  func stop() {}
}

@Suite("Memory in the kernel") struct MemoryTests {
  private func found(_ request: MemoryRequest) -> Result<MemoryResult, Failure>? {
    .success(MemoryResult(json: Array(#"{"passages":[]}"#.utf8), citations: [Array(#"{"id":"a"}"#.utf8), Array(#"{"id":"b"}"#.utf8)]))
  }

  @Test("what a persona asks for reaches the memory in its own name, and the reply cites what was found")
  func query() throws {
    let memory = ScriptedMemory(found)
    let house = try House([("KEEPER", "remembers", [:])], memory: memory)
    let client = try house.attached("GUI")
    let reply = try client.ask("KEEPER", "query", #"{"collection":"c","text":"x"}"#, id: 1, extra: #","trace":"t-9""#)
    #expect(reply.line.contains(#""payload":{"passages":[],"citations":[{"id":"a"},{"id":"b"}]}"#), "\(reply)")
    let request = try #require(memory.requested.wait(milliseconds: 1000))
    #expect(request.actor == .persona("KEEPER") && request.operation == "query" && request.trace == "t-9")
    #expect(String(decoding: request.arguments, as: UTF8.self) == #"{"collection":"c","text":"x"}"#)
    #expect(try client.ask("KEEPER", "bare", "{}", id: 2).line.contains(#""payload":{"citations":[{"id":"a"},{"id":"b"}]}"#))
  }

  @Test("citations of its own stay, and a reply that is no object stays as it is")
  func ownCitations() throws {
    let house = try House([("KEEPER", "remembers", [:])], memory: ScriptedMemory(found))
    let client = try house.attached("GUI")
    #expect(try client.ask("KEEPER", "told", "{}", id: 1).line.contains(#""payload":{"citations":["mine"]}"#))
    #expect(try client.ask("KEEPER", "list", "{}", id: 2).line.contains(#""payload":[1]"#))
  }

  @Test("an error of the memory reaches the asker in its words, and a kernel without one says so")
  func errors() throws {
    let house = try House([("KEEPER", "remembers", [:])], memory: ScriptedMemory { _ in .failure(Failure(.invalid, "no such collection")) })
    let error = try house.attached("GUI").ask("KEEPER", "query", "{}", id: 1)
    #expect(error.code == "invalid" && error.message == "no such collection")
    let without = try House([("KEEPER", "remembers", [:])])
    let client = try without.attached("GUI")
    #expect(try client.ask("KEEPER", "query", "{}", id: 1).message == "this kernel runs without a memory")
    #expect(try client.ask("KERNEL", "memory.list", "{}", id: 2).message == "this kernel runs without a memory")
  }

  @Test("a client asks in its own name, and stats tell of the memory")
  func client() throws {
    let memory = ScriptedMemory(found)
    let house = try House([], memory: memory)
    let client = try house.attached("GUI")
    #expect(try client.ask("KERNEL", "memory.peek", #"{"collection":"c"}"#, id: 1).line.contains(#""payload":{"passages":[]}"#))
    #expect(memory.requested.wait(milliseconds: 1000)?.actor == .client("GUI"))
    #expect(try client.ask("KERNEL", "stats", id: 2).line.contains(#""memory":{"documents":7}"#))
  }

  @Test("when the asker takes the question back, the operation is not waited for")
  func cancel() throws {
    let memory = ScriptedMemory { _ in nil }
    let house = try House([("KEEPER", "remembers", [:])], memory: memory)
    let client = try house.attached("GUI")
    try client.line(#"{"target":"KEEPER","method":"query","payload":{},"id":1}"#)
    #expect(memory.requested.wait(milliseconds: 20_000) != nil)
    #expect(try client.ask("KERNEL", "cancel", #"{"id":1}"#, id: 2)["cancelled"] == "1")
    // Nothing of it is open any more: the persona can go.
    #expect(try client.ask("KERNEL", "personas.unload", #"{"name":"KEEPER"}"#, id: 3)["outcome"] == "unloaded")
  }
}

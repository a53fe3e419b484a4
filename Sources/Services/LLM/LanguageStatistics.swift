import FoundationEssentials
import Kernel

/// The counters of `parlor stats`, as they stand in its JSON. Times in milliseconds.
struct LanguageStatistics: Codable, Sendable {
  struct Local: Codable, Sendable {
    /// "stopped", "starting", "ready", "restarting".
    var state: String
    var pid: Int32?
    /// How often it was started again after the first time.
    var restarts: Int
    var log: String?
  }
  struct Latency: Codable, Sendable {
    var last: Int?
    var p50: Int?
  }

  var provider: String
  var url: String
  var model: String?
  var requests = 0
  var answered = 0
  /// By the code of the failure.
  var failures: [String: Int] = [:]
  var prompt_tokens = 0
  var completion_tokens = 0
  var waiting = 0
  var running = 0
  var conversations = 0
  /// From the question to the first piece of the answer, waiting included; p50 of the last 128.
  var first_piece_ms = Latency()
  var local: Local?
  var personas: [String: LanguageUsage] = [:]

  private var latencies: [Int] = []

  private enum CodingKeys: String, CodingKey {
    case provider, url, model, requests, answered, failures, prompt_tokens, completion_tokens, waiting, running, conversations,
      first_piece_ms
    case local, personas
  }

  init(provider: String, url: String, model: String?) {
    self.provider = provider
    self.url = url
    self.model = model
  }

  mutating func addLatency(_ milliseconds: Milliseconds) {
    latencies = latencies.suffix(127) + [Int(milliseconds)]
    first_piece_ms = Latency(last: Int(milliseconds), p50: latencies.sorted()[latencies.count / 2])
  }

  func json() -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    guard let data = try? encoder.encode(self) else { preconditionFailure("counters can be encoded") }
    return Array(data)
  }
}

import Wire

/// The results of a persona's requests, which the host makes up in place of a model and of other personas.
enum CannedResult {
  static func good(_ request: CheckHost.Request) -> [UInt8] {
    switch request.kind {
    case .timer: []
    case .chat:
      Array(#"{"text":"One, two.","model":"check","finish":"stop","prompt_tokens":7,"completion_tokens":2,"forgotten_turns":0}"#.utf8)
    case .memory: Array(memory(request.method).utf8)
    case .ask:
      switch (request.target, request.method) {
      case ("KERNEL", "stats"):
        Array(
          #"{"version":"0.1.0","pid":1,"uptime_s":60,"memory_kb":20480,"connections":1,"messages":2,"errors":0,"undelivered":0,"personas":[\#(member)],"llm":{}}"#
            .utf8)
      case ("KERNEL", "personas.list"): Array(#"{"personas":[\#(member)]}"#.utf8)
      case ("KERNEL", _): Array("{}".utf8)
      default: Array(#"{"persona":"CHECK","content":"One, two."}"#.utf8)
      }
    }
  }

  private static func memory(_ operation: String) -> String {
    switch operation {
    case "query":
      #"{"passages":[{"id":"check-1","text":"One, two.","score":0.5,"source":"check.md","place":"line 1","metadata":{}}]}"#
    case "add", "upsert", "update": #"{"ids":["check-1"],"count":1}"#
    case "get", "peek": #"{"documents":[]}"#
    case "list": #"{"collections":[]}"#
    default: #"{"count":0}"#
    }
  }

  private static let member =
    #"{"name":"CHECK","summary":"A persona","version":"1.0","library":"/libCHECK.so","generation":1,"state":"running","draining":0,"kept":1,"generations":[1],"received":1,"failed":0,"queued":0}"#

  /// Unusual results: a persona may reply with any JSON; a model's answer is always an object, but may hold next to nothing.
  static func odd(_ request: CheckHost.Request, _ random: inout SeededRandom) -> [UInt8] {
    switch request.kind {
    case .timer: return []
    case .chat:
      return Array(
        random.pick([
          #"{"text":"","model":"m","finish":"length","prompt_tokens":0,"completion_tokens":0,"forgotten_turns":9}"#,
          #"{"text":"\u0000🦇\ud83e\udd87 \"{","model":"","finish":"stop","prompt_tokens":1,"completion_tokens":1,"forgotten_turns":0,"more":[[]]}"#,
          #"{"text":""# + String(repeating: "long ", count: 50_000)
            + #"","model":"m","finish":"stop","prompt_tokens":1,"completion_tokens":1,"forgotten_turns":0}"#,
        ]).utf8)
    case .memory:
      return Array(
        random.pick([
          #"{"passages":[],"ids":[],"documents":[],"collections":[],"count":0}"#,
          #"{"passages":[{"id":"","text":"","score":0}],"ids":["🦇"],"documents":[{"id":"x"}],"count":1,"more":[[]]}"#,
        ]).utf8)
    case .ask:
      var sample = SamplePayload(random)
      defer { random = sample.random }
      return sample.odd()
    }
  }
}

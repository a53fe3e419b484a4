/// An LLM agent with a character and a job: an actor that lives on its lane in the kernel.
///
/// ```swift
/// import PersonaKit
///
/// actor Lucius: Persona {
///   static let about: About = """
///     bat-persona 1
///     name = LUCIUS
///     version = 1.0
///     summary = Finds the tool for the job
///     """
///   let kernel: KernelHandle
///   init(kernel: KernelHandle) { self.kernel = kernel }
///
///   func receive(_ gram: BatGram) async throws -> JSON? {
///     let answer = try await kernel.llm.think("Suggest a tool for: \(gram.text ?? "")", for: gram)
///     return ["content": .string(answer.text)]
///   }
/// }
///
/// @c(persona_entry_v1) public func entry() -> UnsafePointer<persona_entry> { export(Lucius.self) }
/// ```
///
/// The actor's executor is the lane, so its code runs there and nowhere else, one piece at a time. A gram
/// that waits (for the model, for a colleague) lets the next one begin. What must survive a reload is
/// kept by the kernel (`kernel.state`, conversations), or handed over by `save` and `load`.
public protocol Persona: Actor {
  /// Who it is and what it can be asked: the text that persona.h describes, as one literal. Its methods are what
  /// `converse` tells those who ask for `describe`, and those who ask for what it does not know.
  static var about: About { get }
  /// Its way to the kernel: keep what `init` was given.
  nonisolated var kernel: KernelHandle { get }

  /// Makes the instance. A thrown error refuses the load; the generation before goes on.
  init(kernel: KernelHandle) throws

  /// Answers one gram. What it returns is the reply; nil: done, and there is nothing to say. A thrown
  /// error reaches the one who asked: `KernelError` with its status, any other with its description.
  ///
  /// When the asker has gone, has taken the gram back or has run out of time, the task that runs this is cancelled, and requests that
  /// are made here end as cancelled. Work that goes on after the
  /// reply is nobody's errand: begin it with `Task.detached`, so that it is not made on the gram's behalf.
  func receive(_ gram: BatGram) async throws -> JSON?

  /// The generation is about to live: subscribe, set timers. What is thrown before the first `await` refuses the
  /// load; what is thrown later fails the health check, so that the reload is rolled back. Optional.
  func start() async throws
  /// The last words; every task of it is cancelled after that. Optional.
  func stop()
  /// Its part of personas.toml has changed; `kernel.config` has it. Optional.
  func configChanged() throws
  /// What the next generation must know, in the schema that the about text names. Optional.
  ///
  /// It is called between two grams, also while tasks of this instance are suspended. They go on afterwards and may still answer, but
  /// what they change in the actor's properties then is lost. What must not be lost belongs in `kernel.state`, which both generations
  /// share.
  func save() throws -> JSON?
  /// Reads what `save` of an earlier generation returned. Optional.
  func load(_ state: JSON, schema: Int) throws
  /// Throws what is wrong with it. Optional.
  func health() throws
  /// A C table of yours that a later kernel may ask for by name, which must stay valid for ever; nil for names that you do not know.
  /// Optional.
  func table(named name: String) -> UnsafeRawPointer?
}

extension Persona {
  /// The lane.
  public nonisolated var unownedExecutor: UnownedSerialExecutor { kernel.lane.asUnownedSerialExecutor() }

  public func start() async throws {}
  public func stop() {}
  public func configChanged() throws {}
  public func save() throws -> JSON? { nil }
  public func load(_ state: JSON, schema: Int) throws {}
  public func health() throws {}
  public func table(named name: String) -> UnsafeRawPointer? { nil }
}

/// A persona's about text (see persona.h): written as one string literal, which the compiler leaves in
/// the library as it is, where the kernel reads it without running any code.
public struct About: ExpressibleByStringLiteral, Sendable {
  let text: StaticString
  public init(stringLiteral text: StaticString) { self.text = text }

  /// The value of one key, or nil.
  public subscript(_ key: String) -> String? {
    lines.first { $0.key == key }?.value
  }

  /// The methods, each with what it does in a few words, in the order of the text.
  var methods: [(key: String, value: String)] {
    lines.filter { $0.key.hasPrefix("method.") }.map { (String($0.key.dropFirst(7)), $0.value) }
  }

  /// What the keys are that its lines `config.KEY = type, default, one line` declare, where personas.toml has none.
  var defaults: [String: JSON] {
    var defaults: [String: JSON] = [:]
    for (key, value) in lines where key.hasPrefix("config.") {
      defaults[String(key.dropFirst(7))] = Self.leadingJSON(value.drop { $0 != "," }.dropFirst())
    }
    return defaults
  }

  /// The JSON before one of the commas; a default may have commas of its own. Nil: none, or a word.
  private static func leadingJSON(_ text: Substring) -> JSON? {
    for comma in text.indices where text[comma] == "," {
      if let value = try? JSON(parsing: text[..<comma].utf8) { return value }
    }
    return nil
  }

  private var lines: [(key: String, value: String)] {
    text.description.split(separator: "\n").compactMap { line in
      let parts = line.split(separator: "=", maxSplits: 1)
      return parts.count == 2 ? (parts[0].trimmingBlanks, parts[1].trimmingBlanks) : nil
    }
  }
}

extension Substring {
  var trimmingBlanks: String {
    var text = self
    while text.first?.isWhitespace == true { text.removeFirst() }
    while text.last?.isWhitespace == true { text.removeLast() }
    return String(text)
  }
}

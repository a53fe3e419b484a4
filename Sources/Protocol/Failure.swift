/// What can go wrong on the way of a message because of a peer, a persona, a file or a model.
///
/// The code is for programs (it stands in error grams as `code`), the message for people: what
/// happened, where, and what to do.
public struct Failure: Error, Sendable, Equatable, CustomStringConvertible {
  /// The closed set of reasons. Raw values are the words of the wire.
  public enum Code: String, Sendable, CaseIterable {
    case failed, invalid, retired, cancelled, deadline
    case unknownTarget = "unknown_target"
    case queueFull = "queue_full"
    case hopLimit = "hop_limit"
    case tooLong = "too_long"
    case unknownMethod = "unknown_method"
    case state
    case notFound = "not_found"
    case denied
    case badJSON = "bad_json"
    case nameRefused = "name_refused"
    case llmUnreachable = "llm_unreachable"
    case llmNoModel = "llm_no_model"
    case llmRefused = "llm_refused"
    case llmCutOff = "llm_cut_off"
    case llmGarbled = "llm_garbled"
    case llmTooLong = "llm_too_long"
    case llmInvalid = "llm_invalid"
    case llmBudget = "llm_budget"
  }

  public var code: Code
  public var message: String

  /// In bytes. What somebody wrote at greater length is cut: a message is read by people, and stands in a line.
  public static let longestMessage = 64 << 10

  public init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message.utf8.count <= Self.longestMessage ? message : Self.cut(message)
  }

  private static func cut(_ message: String) -> String {
    String(decoding: message.utf8.prefix(longestMessage - 6), as: UTF8.self) + "…"
  }

  public var description: String { "\(message) (\(code.rawValue))" }
}

/// The payload of a gram of method `error`.
public struct ErrorReport: Codable, Sendable, Equatable {
  /// A `Failure.Code`, or a word of a later kernel or of another client.
  public var code: String
  public var message: String
  /// Whom it is about.
  public var target: String?

  public init(code: String, message: String, target: String? = nil) {
    self.code = code
    self.message = message
    self.target = target
  }

  public init(_ failure: Failure, target: String? = nil) {
    self.init(code: failure.code.rawValue, message: failure.message, target: target)
  }

  private enum CodingKeys: String, CodingKey { case code, message, target }

  /// Other clients may leave something out: what is missing is a plain failure without words.
  public init(from decoder: any Decoder) throws {
    let members = try decoder.container(keyedBy: CodingKeys.self)
    code = (try? members.decode(String.self, forKey: .code)) ?? Failure.Code.failed.rawValue
    message = (try? members.decode(String.self, forKey: .message)) ?? ""
    target = try? members.decode(String.self, forKey: .target)
  }

  /// A code that this side does not know is a plain failure.
  public var failure: Failure { Failure(Failure.Code(rawValue: code) ?? .failed, message) }
}

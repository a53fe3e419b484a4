import FoundationEssentials
import Kernel

/// A question as a persona puts it (persona.h, `llm/1 chat`).
struct Question: Decodable {
  struct Message: Codable, Equatable, Sendable {
    var role: String
    var content: String
  }
  var text: String?
  var thread: String?
  var remember: Bool?
  var system: String?
  var messages: [Message]?
  var model: String?
  var temperature: Double?
  var max_tokens: Int?
  var seed: Int?
  var stop: [String]?
  var format: Format?

  /// "json", or a schema, carried as it is.
  indirect enum Format: Codable, Equatable, Sendable {
    case null, bool(Bool), number(Double), string(String), array([Format]), object([String: Format])

    init(from decoder: any Decoder) throws {
      let value = try decoder.singleValueContainer()
      if value.decodeNil() {
        self = .null
      } else if let bool = try? value.decode(Bool.self) {
        self = .bool(bool)
      } else if let number = try? value.decode(Double.self) {
        self = .number(number)
      } else if let string = try? value.decode(String.self) {
        self = .string(string)
      } else if let array = try? value.decode([Format].self) {
        self = .array(array)
      } else {
        self = .object(try value.decode([String: Format].self))
      }
    }

    func encode(to encoder: any Encoder) throws {
      var value = encoder.singleValueContainer()
      switch self {
      case .null: try value.encodeNil()
      case .bool(let bool): try value.encode(bool)
      case .number(let number): if let whole = Int64(exactly: number) { try value.encode(whole) } else { try value.encode(number) }
      case .string(let string): try value.encode(string)
      case .array(let array): try value.encode(array)
      case .object(let object): try value.encode(object)
      }
    }
  }

  static func read(_ body: [UInt8]) throws(Failure) -> Question {
    let question: Question
    do { question = try JSONDecoder().decode(Question.self, from: Data(body)) } catch {
      throw Failure(.invalid, "the question is not what llm/1 takes (see persona.h): \(error)")
    }
    if question.text?.isEmpty ?? true, question.messages?.isEmpty ?? true {
      throw Failure(.invalid, "the question has neither \"text\" nor \"messages\"; give it one")
    }
    return question
  }
}

/// The request that a server gets, in its own dialect.
struct ChatRequest {
  var model: String
  var messages: [Question.Message]
  var temperature: Double?
  var maxTokens: Int?
  var seed: Int?
  var stop: [String]?
  var format: Question.Format?
  var contextTokens: Int

  func body(_ dialect: ChatStream.Dialect) -> [UInt8] {
    switch dialect {
    case .ollama:
      encode(
        Ollama(
          model: model, messages: messages, stream: true, format: format,
          options: .init(temperature: temperature, seed: seed, num_predict: maxTokens, num_ctx: contextTokens, stop: stop)))
    case .openai:
      encode(
        OpenAI(
          model: model, messages: messages, stream: true, stream_options: .init(include_usage: true), temperature: temperature, seed: seed,
          max_tokens: maxTokens, stop: stop, response_format: format.map(OpenAI.ResponseFormat.init)))
    }
  }

  private struct Ollama: Encodable {
    struct Options: Encodable {
      var temperature: Double?
      var seed: Int?
      var num_predict: Int?
      var num_ctx: Int
      var stop: [String]?
    }
    var model: String
    var messages: [Question.Message]
    var stream: Bool
    var format: Question.Format?
    var options: Options
  }

  private struct OpenAI: Encodable {
    struct StreamOptions: Encodable { var include_usage: Bool }
    struct ResponseFormat: Encodable {
      struct Schema: Encodable {
        var name = "reply"
        var strict = true
        var schema: Question.Format
      }
      var type: String
      var json_schema: Schema?
      init(_ format: Question.Format) {
        if case .object = format {
          type = "json_schema"
          json_schema = Schema(schema: format)
        } else {
          type = "json_object"
        }
      }
    }
    var model: String
    var messages: [Question.Message]
    var stream: Bool
    var stream_options: StreamOptions
    var temperature: Double?
    var seed: Int?
    var max_tokens: Int?
    var stop: [String]?
    var response_format: ResponseFormat?
  }

  private func encode(_ value: some Encodable) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    guard let data = try? encoder.encode(value) else { preconditionFailure("a request of strings and numbers can be written") }
    return Array(data)
  }
}

import Kernel
import System

/// What is known of a conversation when a question is sent in it.
struct Conversation {
  /// Older turns in a few words, made by the model.
  struct Summary: Equatable {
    var text: String
    /// Of how many turns, from the first one on.
    var turns: Int

    /// The same with at most so many bytes of text: models say more than they are asked for. It loses its end, from a word on.
    func cut(to limit: Int) -> Summary {
      guard text.utf8.count > limit else { return self }
      var head = String(decoding: text.utf8.prefix(max(0, limit)), as: UTF8.self)
      while head.last == "\u{FFFD}" { head.removeLast() }
      if let space = head.lastIndex(where: \.isWhitespace), head[space...].utf8.count < 100 { head = String(head[..<space]) }
      return Summary(text: head + "…", turns: turns)
    }

    /// As the model reads it.
    var message: String { "Summary of \(turns) earlier turns: \(text)" }
  }

  /// The thread in the file; nil: the file cannot be read.
  var thread: Int64?
  /// The newest ones, as far as they may fit.
  var turns: [Turn] = []
  /// How many there are before them.
  var dropped = 0
  var summary: Summary?
  var estimate: TokenEstimate

  /// The summary, if it stands for turns that do not go along themselves.
  var usableSummary: Summary? { summary.flatMap { $0.turns <= dropped ? $0 : nil } }
}

/// What was asked and answered, as it is to be kept.
struct AnsweredTurn: Equatable, Sendable {
  let key: ThreadKey
  /// The thread in the file; nil: the file could not be read.
  let thread: Int64?
  let messages: Turn
  let facts: TurnFacts
  /// So many of the first turns did not fit a window of `window` tokens.
  let leftOut: Int
  let window: Int
  let estimate: TokenEstimate
}

/// What is kept of an answer beside its text.
struct TurnFacts: Equatable {
  /// The provider's name, and the model's.
  var provider: String?
  var model: String?
  var finish: String?
  var promptTokens: Int?
  var completionTokens: Int?
}

/// One turn as it was kept.
struct KeptTurn: Equatable {
  /// Counted from 1 within its thread.
  var number: Int
  var turn: Turn
  var facts: TurnFacts
  /// Milliseconds since 1970.
  var at: Int64
}

/// One conversation in the list of all.
struct ThreadEntry: Equatable {
  var key: ThreadKey
  var turns: Int
  /// Of the JSON of its messages.
  var bytes: Int
  /// How many turns went into the summary, and how many do not go along any more.
  var summarised: Int
  var leftOut: Int
  /// Milliseconds since 1970.
  var began: Int64
  var used: Int64
}

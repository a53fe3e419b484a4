import Kernel
import Protocol
import Synchronization

/// The counters, shared between the threads that count and anybody who reads. Any thread.
final class StatisticsBoard: Sendable {
  private let value: Mutex<LanguageStatistics>
  init(_ value: LanguageStatistics) { self.value = Mutex(value) }
  func change(_ body: (inout LanguageStatistics) -> Void) { value.withLock { body(&$0) } }
  func read() -> LanguageStatistics { value.withLock { $0 } }

  func asked(_ asked: LanguageQuestion) {
    change {
      $0.requests += 1
      $0.count(asked.persona, generation: asked.generation) { $0.requests += 1 }
    }
  }

  func firstPiece(of asked: LanguageQuestion, after milliseconds: Int) {
    change {
      $0.first_piece_ms.add(milliseconds)
      $0.count(asked.persona, generation: asked.generation) { $0.first_piece_ms.add(milliseconds) }
    }
  }

  /// A round has been answered, in so many milliseconds from its first piece on (nil: it had none).
  func round(of asked: LanguageQuestion, _ answer: Answer, milliseconds: Int?) {
    let (reading, answering) = (answer.promptTokens ?? 0, answer.completionTokens ?? 0)
    change {
      $0.prompt_tokens += reading
      $0.completion_tokens += answering
      $0.count(asked.persona, generation: asked.generation) {
        $0.prompt_tokens += reading
        $0.completion_tokens += answering
        if let milliseconds { $0.addRate(tokens: answering, milliseconds: milliseconds) }
      }
    }
  }

  func ended(_ asked: LanguageQuestion, _ failure: Failure?) {
    change {
      if let failure { return $0.failures[failure.code.rawValue, default: 0] += 1 }
      $0.answered += 1
      $0.count(asked.persona, generation: asked.generation) { $0.answered += 1 }
    }
  }
}

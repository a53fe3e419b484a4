import System
import Testing

@testable import Services

/// On a clock of the tests' own; times in milliseconds.
@Suite struct BreakerTests {
  private func broken(at now: Milliseconds = 0) -> Breaker {
    var breaker = Breaker()
    for _ in 1...Breaker.limit { breaker.failed(at: now) }
    return breaker
  }

  @Test("five failures in a row open it, and a success between them does not let it come to that")
  func opens() {
    var breaker = Breaker()
    for _ in 1..<Breaker.limit { breaker.failed(at: 0) }
    #expect(breaker.obstacle(at: 0) == nil)
    breaker.succeeded()
    for _ in 1..<Breaker.limit { breaker.failed(at: 0) }
    #expect(breaker.obstacle(at: 0) == nil)
    #expect(breaker.word == "closed")
    breaker.failed(at: 0)
    #expect(breaker.obstacle(at: 1000) == 4000)
    #expect(breaker.word == "open")
  }

  @Test("after its time one question tries, and its success closes it")
  func closes() {
    var breaker = broken()
    #expect(breaker.obstacle(at: 4999) == 1)
    #expect(breaker.obstacle(at: 5000) == nil)
    #expect(breaker.obstacle(at: 5000) == 0)
    #expect(breaker.word == "half-open", "only one")
    breaker.succeeded()
    #expect(breaker.obstacle(at: 5001) == nil)
    #expect(breaker == Breaker())
  }

  @Test("each try that fails doubles the time, up to two minutes")
  func doubles() {
    var breaker = broken()
    var now: Milliseconds = 5000
    for pause in [10_000, 20_000, 40_000, 80_000, 120_000, 120_000] as [Milliseconds] {
      #expect(breaker.obstacle(at: now) == nil)
      breaker.failed(at: now)
      #expect(breaker.obstacle(at: now) == pause)
      now += pause
    }
  }

  @Test("a try that is taken back leaves it to the next question")
  func takenBack() {
    var breaker = broken()
    #expect(breaker.obstacle(at: 5000) == nil)
    breaker.ended(at: 5100)
    #expect(breaker.obstacle(at: 5100) == nil)
    #expect(breaker.word == "half-open")
    var closed = Breaker()
    closed.failed(at: 0)
    let before = closed
    closed.ended(at: 0)
    #expect(closed == before, "what is taken back otherwise says nothing")
  }

  @Test("each wait may be twice as long, chance takes up to half of it away, and there is an end")
  func backoff() {
    var longest = Backoff(limit: 8)
    let long = (1...9).map { _ in longest.next(retryAfter: nil, chance: 1) }
    #expect(long == [400, 800, 1600, 3200, 6400, 12_800, 20_000, 20_000, nil])
    var shortest = Backoff(limit: 2)
    let short = (1...3).map { _ in shortest.next(retryAfter: nil, chance: 0) }
    #expect(short == [200, 400, nil])
    var none = Backoff(limit: 0)
    #expect(none.next(retryAfter: nil, chance: 0) == nil)
  }

  @Test("what the server asks for is kept, unless it is more than anybody waits for")
  func retryAfter() {
    var backoff = Backoff(limit: 3)
    #expect(backoff.next(retryAfter: 7, chance: 0) == 7000)
    #expect(backoff.next(retryAfter: 7, chance: 1) == 7200)
    #expect(backoff.next(retryAfter: 21, chance: 0) == nil)
    #expect(backoff.count == 2)
  }
}

import Foundation
import TestSupport

/// What property tests draw, again for the same seed.
struct TestRandom: RandomNumberGenerator {
  private var source: SplitMix

  init(seed: UInt64) { source = SplitMix(state: seed) }

  mutating func next() -> UInt64 { source.next() }

  /// A seed for one run of a test, printed; BAT_TEST_SEED repeats a run.
  static func seed(for test: String) -> UInt64 {
    let seed = ProcessInfo.processInfo.environment["BAT_TEST_SEED"].flatMap(UInt64.init) ?? .random(in: 0 ... .max)
    print("\(test): BAT_TEST_SEED=\(seed)")
    return seed
  }

  mutating func below(_ limit: Int) -> Int { Int.random(in: 0..<limit, using: &self) }
  /// True once in so many times.
  mutating func once(in times: Int) -> Bool { below(times) == 0 }
  mutating func pick<T>(_ choices: [T]) -> T { choices[below(choices.count)] }
  /// Of a bell curve around 0, of width 1.
  mutating func normal() -> Float {
    let (a, b) = (Double.random(in: Double.leastNonzeroMagnitude..<1, using: &self), Double.random(in: 0..<1, using: &self))
    return Float((-2 * log(a)).squareRoot() * cos(2 * .pi * b))
  }
  mutating func vector(_ dimension: Int) -> [Float] { (0..<dimension).map { _ in normal() } }
}

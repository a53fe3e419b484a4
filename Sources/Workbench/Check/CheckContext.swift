import Kernel
import Wire

/// What a test works with.
struct CheckContext: Sendable {
  let library: LoadedLibrary
  /// The configuration that create() is given, JSON.
  let config: [UInt8]
  /// The part of personas.toml that it comes from, if there is one.
  let part: CheckPart?
  let seed: UInt64
  /// How long a call of the persona's code may take.
  let callMilliseconds: Int
  /// The test's name, from which its random numbers are derived.
  let test: String
  let log: CheckLog
  /// Repetitions stop at this time, so that a slow persona is not mistaken for one that hangs.
  let enough: ContinuousClock.Instant

  /// Does something `count` times, or fewer times when it takes too long, which is noted.
  func times(_ count: Int, _ what: String, _ body: (Int) throws(Halt) -> Void) throws(Halt) {
    for time in 0..<count {
      try body(time)
      if ContinuousClock.now > enough, time + 1 < count { return log.measure("\(time + 1) of \(count) \(what): more would take too long") }
    }
  }

  var about: About { library.image.about }
  func random(_ purpose: String) -> SeededRandom { SeededRandom(seed: seed, for: "\(test) \(purpose)") }

  func usualGrams() -> [CheckGram] {
    var sample = SamplePayload(random("grams"))
    return CheckGram.usual(about, &sample)
  }
}

/// A persona's part of a configuration file, as the kernel reads it.
public struct CheckPart: Sendable, Equatable {
  /// The file.
  public var file: String
  /// The name that the part gives the persona.
  public var name: String
  /// The library that it would load; nil: there is none.
  public var library: String?
  /// The whole part, as create() is given it.
  public var config: JSON

  public init(file: String, name: String, library: String?, config: JSON) {
    self.file = file
    self.name = name
    self.library = library
    self.config = config
  }
}

import Kernel
import System
import Wire

/// What the tests of a run have in common, and how one of them is run.
struct CheckJob: Sendable {
  var image: LibraryImage
  var part: CheckPart?
  var seed: UInt64
  var callMilliseconds: Int

  /// What create() is given: the persona's part of the file, or what every persona has; with the defaults of the keys that it declares.
  var config: JSON {
    let config: JSON =
      part?.config ?? [
        "name": .string(image.about.name), "summary": .string(image.about.summary ?? "A persona that is checked"),
        "prompt": .string("You are \(image.about.name). Answer in one sentence."),
      ]
    return (try? JSON(parsing: image.about.completed(config.bytes))) ?? config
  }

  /// Runs a test on this thread, with the library in this process.
  func play(_ test: CheckTest, _ log: CheckLog) {
    do throws(Halt) {
      log.begins("opening the library")
      let library: LoadedLibrary
      do throws(LibraryError) { library = try LoadedLibrary.open(image) } catch { throw Halt(.failure, error.message) }
      log.returned()
      try test.body(
        CheckContext(
          library: library, config: config.bytes, part: part, seed: seed, callMilliseconds: callMilliseconds, test: test.name, log: log,
          enough: .now + .seconds(test.limitSeconds / 2)))
    } catch {
      log.find(error)
    }
    log.ended()
  }

  func playHere(_ test: CheckTest) -> [CheckFinding] {
    let found = Monitor<[CheckFinding]>([])
    play(test, CheckLog { line in if case .finding(let finding) = line { found.withLock { $0.append(finding) } } })
    return found.withLock { $0 }
  }
}

extension CheckJob {
  /// The form in which a test's process gets it.
  var json: JSON {
    var members: [String: JSON] = [
      "copy": .string(image.path), "path": .string(image.originalPath), "hash": .string(image.hash),
      "about": .string(image.about.text), "seed": .string("\(seed)"), "call_ms": .int(callMilliseconds),
    ]
    if let part {
      members["part"] = [
        "file": .string(part.file), "name": .string(part.name), "library": part.library.map { .string($0) } ?? .null, "config": part.config,
      ]
    }
    return .object(members)
  }

  /// nil if the JSON is not a job.
  init?(_ json: JSON) {
    guard let copy = json["copy"]?.string, let path = json["path"]?.string, let hash = json["hash"]?.string,
      let text = json["about"]?.string, let about = try? About(parsing: text), let seed = json["seed"]?.string.flatMap({ UInt64($0) }),
      let callMilliseconds = json["call_ms"]?.int
    else { return nil }
    image = LibraryImage(path: copy, originalPath: path, hash: hash, about: about)
    self.seed = seed
    self.callMilliseconds = callMilliseconds
    if let part = json["part"], let file = part["file"]?.string, let name = part["name"]?.string {
      self.part = CheckPart(file: file, name: name, library: part["library"]?.string, config: part["config"] ?? [:])
    }
  }
}

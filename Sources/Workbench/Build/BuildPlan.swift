import Glibc
import System

/// The commands that make a library of a persona's source, the fastest way that gives the same answer as the whole build.
///
/// A plugin goes straight through `swiftc`, with PersonaKit as it was built before: that takes about half a second, of which
/// SwiftPM's own part would be another half. Packages and Makefiles build as their authors say.
public struct BuildPlan: Sendable, Equatable {
  /// One command; the program is found in PATH.
  public struct Step: Sendable, Equatable {
    public var words: [String]
    public var folder: String
    /// Beside what is inherited.
    public var environment: [String: String] = [:]
    /// Shown while it runs, where it takes long.
    public var note: String?

    public init(words: [String], folder: String, environment: [String: String] = [:], note: String? = nil) {
      self.words = words
      self.folder = folder
      self.environment = environment
      self.note = note
    }
  }

  public var steps: [Step]
  /// What the last step writes. `target`, if there is one, is where it is then moved to, in one step.
  public var library: String
  public var target: String?

  /// Makes the plan. Looks at files, changes nothing but for `.build/dev` of a house, which is made.
  ///
  /// - Parameters:
  ///   - modules: SwiftPM's build folder with PersonaKit in it (`.build/release`); nil: the newest of the house.
  ///   - anew: what was built before is not to be trusted. make goes by the files' times, and those are wrong when a source
  ///     was written while it was being built, or came with an older time. Compilers and SwiftPM do not need it.
  public init(_ source: PersonaSource, modules: String? = nil, anew: Bool = false) {
    switch source.kind {
    case .makefile:
      steps = [Step(words: ["make", "--silent"] + (anew ? ["--always-make"] : []), folder: source.folder)]
      library = source.library ?? "\(source.folder)/lib\(source.name).so"
    case .package:
      steps = [Step(words: ["swift", "build", "--product", source.name], folder: source.folder)]
      library = "\(source.folder)/.build/debug/lib\(source.name).so"
    case .plugin(let house):
      let found = modules ?? Self.modules(of: house)
      let modules = found ?? house + "/.build/release"
      steps = []
      if found == nil {
        let stamp = Self.stamp("release", house)
        steps = [
          Step(words: ["touch", stamp + ".new"], folder: house),
          Step(
            words: ["swift", "build", "-c", "release", "--target", "PersonaKit"], folder: house,
            environment: ["PLUGINS": Self.plugins(of: house)], note: "building PersonaKit, once"),
          Step(words: ["mv", stamp + ".new", stamp], folder: house),
        ]
      }
      let folder = house + "/.build/dev"
      _ = mkdir(house + "/.build", 0o755)
      _ = mkdir(folder, 0o755)
      target = "\(folder)/lib\(source.name).so"
      library = "\(folder)/lib\(source.name).so.new"
      steps.append(Step(words: Self.swiftc(source, modules: modules, house: house, output: library), folder: house))
    }
  }

  /// What Package.swift says of plugins: Swift 6, warnings are errors, never unloaded.
  private static func swiftc(_ source: PersonaSource, modules: String, house: String, output: String) -> [String] {
    let files = PersonaSource.files(in: source.folder).filter { $0.hasSuffix(".swift") && !$0.hasPrefix(source.folder + "/tests/") }
    return [
      "swiftc", "-emit-library", "-o", output, "-module-name", moduleName(source.name), "-swift-version", "6", "-warnings-as-errors",
      "-Onone", "-wmo", "-g",
      "-I", modules + "/Modules", "-I", house + "/Sources/PersonaABI/include", "-Xlinker", "-z", "-Xlinker", "nodelete",
      "-Xlinker", "-soname=lib\(source.name).so",
    ] + files + (objects(of: modules, house: house) ?? [whole(modules)])
  }

  /// PersonaKit's objects, by its sources: beside them a build folder keeps those of sources that are gone. Nil: not all are there.
  static func objects(of modules: String, house: String) -> [String]? {
    if access(whole(modules), F_OK) == 0 { return [whole(modules)] }
    let sources = PersonaSource.files(in: house + "/Sources/PersonaKit").filter { $0.hasSuffix(".swift") }
    let objects = sources.map { modules + "/PersonaKit.build" + $0[$0.lastIndex(of: "/")!...] + ".o" }
    return !objects.isEmpty && objects.allSatisfy { access($0, F_OK) == 0 } ? objects : nil
  }

  /// What a release build makes of the whole module.
  private static func whole(_ modules: String) -> String { modules + "/PersonaKit.build/PersonaKit.o" }

  /// As old as the beginning of the last build of PersonaKit that went well. `./bat` writes it too.
  private static func stamp(_ configuration: String, _ house: String) -> String { "\(house)/.build/PersonaKit-\(configuration).stamp" }

  /// SwiftPM's rule: what cannot stand in an identifier becomes "_".
  public static func moduleName(_ name: String) -> String {
    let name = String(name.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" })
    return name.first?.isNumber == true ? "_" + name : name
  }

  /// The names in Plugins, one a line: what SwiftPM must see change.
  public static func plugins(of house: String) -> String {
    let names = (try? Folder.names(in: house + "/Plugins")) ?? []
    return names.filter { !$0.hasPrefix(".") }.joined(separator: "\n")
  }

  /// The build folder with the newest PersonaKit that is not older than its source.
  private static func modules(of house: String) -> String? {
    let sources = PersonaSource.newest(
      of: PersonaSource.files(in: house + "/Sources/PersonaKit") + [house + "/Sources/PersonaABI/include/persona.h"])
    let built = ["release", "debug"].map { configuration in
      let folder = "\(house)/.build/\(configuration)"
      let objects = objects(of: folder, house: house)
      // The module stays as it is when no interface has changed, and the objects when a source has only a new time or a new comment.
      let kept = [folder + "/Modules/PersonaKit.swiftmodule", stamp(configuration, house)] + (objects ?? [])
      return (folder: folder, isWhole: objects != nil, time: PersonaSource.newest(of: kept))
    }
    return built.filter { $0.isWhole && $0.time >= sources && $0.time > 0 }.max { $0.time < $1.time }?.folder
  }
}

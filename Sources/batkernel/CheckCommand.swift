import Kernel
import Services
import Wire

/// `batkernel --check`: tells what is wrong with a configuration and its libraries, without running any of their code.
enum CheckCommand {
  /// Prints one line for each finding, and one for each thing that is in order. Returns the exit status: 0, or 1 if
  /// anything would be refused; warnings do not count.
  static func run(
    configurationPath: String, services: Set<String>, environment: [String: String], print: (String) -> Void
  ) -> Int32 {
    let configuration: Configuration
    do throws(ConfigurationError) {
      configuration = try ConfigurationFile.load(path: configurationPath, environment: environment)
    } catch {
      for finding in error.findings { print(finding.description) }
      return 1
    }
    let count = configuration.personas.count
    print("\(configurationPath): ok, \(count) persona\(count == 1 ? "" : "s")")
    if count == 0 { print("\(configurationPath): warning: no personas; add a table [persona.NAME]") }
    let language = configuration.language
    let sections = [("llm", language.standard)] + language.providers.sorted { $0.key < $1.key }.map { ("llm.providers.\($0)", $1) }
    for (section, provider) in sections {
      if let variable = provider.apiKeyVariable, environment[variable] == nil {
        print("\(configurationPath): warning: \(section).api_key_env: the environment variable \(variable) is not set")
      }
      if let obstacle = LanguageModels.obstacle(toKeyFileOf: provider, section: section) {
        print("\(configurationPath): warning: \(obstacle)")
      }
    }
    var status: Int32 = 0
    for persona in configuration.personas {
      do throws(LibraryError) {
        let file = try LibraryFile(reading: try LibraryFile.resolve(persona.library, in: configuration.pluginFolders))
        let (about, warnings) = try file.check(services: services)
        for warning in warnings { print("\(persona.name): warning: \(warning)") }
        if let table = try? JSON(parsing: persona.json) {
          for finding in ConfigurationCheck(table, for: about).findings {
            print("\(persona.name): warning: persona.\(persona.name).\(finding.key): \(finding.message)")
          }
        }
        print("\(persona.name): ok, \(about.name) \(about.version) in \(file.path)")
      } catch {
        print("\(persona.name): \(error)")
        status = 1
      }
    }
    return status
  }

  /// What the file says, for programs: {"file", "findings": [text], "personas": [{"name", "library", "config"}]}. `library` is
  /// the file that would be loaded, or null; `config` is what create() is given. The status is 1 if the file cannot be taken.
  static func json(configurationPath: String, environment: [String: String]) -> (json: JSON, status: Int32) {
    let configuration: Configuration
    do throws(ConfigurationError) {
      configuration = try ConfigurationFile.load(path: configurationPath, environment: environment)
    } catch {
      let findings = error.findings.map { JSON.string($0.description) }
      return (["file": .string(configurationPath), "findings": .array(findings), "personas": []], 1)
    }
    let personas = configuration.personas.map { persona -> JSON in
      let library = try? LibraryFile.resolve(persona.library, in: configuration.pluginFolders)
      guard let config = try? JSON(parsing: persona.json) else { preconditionFailure("a persona's part is made as JSON") }
      return ["name": .string(persona.name), "library": library.map { .string($0) } ?? .null, "config": config]
    }
    return (["file": .string(configurationPath), "findings": [], "personas": .array(personas)], 0)
  }
}

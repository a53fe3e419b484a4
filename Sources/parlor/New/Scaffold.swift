import Wire

/// The files that a new persona begins with, as values.
struct Scaffold: Equatable {
  enum Shape: Equatable {
    /// Swift, in the house's Plugins.
    case plugin
    /// A Swift package of its own, which knows this house's PersonaKit by path.
    case package(house: String)
    /// One C file; `include` is where persona.h is, as the Makefile says it.
    case c(include: String)
  }

  let name: String
  let shape: Shape

  /// By path within the persona's folder, in the order in which they are best read.
  var files: [(path: String, text: String)] {
    let greets = (test, recording)
    switch shape {
    case .plugin: return [("\(name).swift", swift), greets]
    case .package(let house):
      return [("Sources/\(name)/\(name).swift", swift), greets, ("Package.swift", manifest(house)), (".gitignore", ".build/\n")]
    case .c(let include): return [("\(name).c", c), greets, ("Makefile", makefile(include)), (".gitignore", "*.so\n")]
    }
  }

  /// Where the author begins to write.
  var source: String { files[0].path }

  /// A recording, for `parlor replay`.
  let test = "tests/greets.json"

  /// The library, from the persona's folder on; nil: the house's build puts it where the kernel looks.
  var library: String? {
    switch shape {
    case .plugin: nil
    case .package: ".build/debug/lib\(name).so"
    case .c: "lib\(name).so"
    }
  }

  /// `my-bot` → `MyBot`, `LUCIUS` → `Lucius`; never a name that PersonaKit has.
  static func typeName(_ name: String) -> String {
    let words = name.split { $0 == "-" || $0 == "_" }
    let type = words.map { word in
      let rest = word.dropFirst()
      return word.prefix(1).uppercased() + (word.allSatisfy { $0.isUppercase || $0.isNumber } ? rest.lowercased() : String(rest))
    }.joined()
    let taken: Set = [
      "Persona", "About", "JSON", "Json", "BatGram", "KernelHandle", "KernelError", "Bus", "LanguageModel", "Memory", "State", "Log",
      "LaneExecutor", "Decodable", "Encodable", "Codable", "Sendable", "Optional", "Dictionary", "UnsafePointer", "Void", "String",
      "Float", "Int", "Bool", "Double", "Array", "Self", "Type", "Any", "Error", "Task", "Duration", "Never", "Result", "Character", "Set",
      "Actor",
    ]
    return taken.contains(type) ? type + "Persona" : type
  }

  // MARK: Texts

  private var swift: String {
    """
    import PersonaKit

    /// \(name): what it is for, in a sentence.
    ///
    /// An actor: its code runs on its lane in the kernel, one piece at a time. Save this file while `parlor dev \(name)`
    /// runs, and the next message is answered by the new code.
    actor \(Self.typeName(name)): Persona {
      // Who it is and what it can be asked. The kernel reads this text from the library without running any code, so it
      // is one literal. `takes` and `gives` are JSON schemas: people and models learn from them how to ask.
      static let about: About = \"\"\"
        bat-persona 1
        name = \(name)
        version = 0.1
        summary = A persona in the making
        needs = bus/1
        wants = llm/1
        config.greeting = string, "Good evening", how it greets; a line `greeting = "…"` in personas.toml takes its place
        method.greet = greets somebody by name, without a language model
        takes.greet = {"type":"object","properties":{"name":{"type":"string"}},"required":["name"]}
        gives.greet = {"type":"object","properties":{"content":{"type":"string"}},"required":["content"]}
        \"\"\"
      let kernel: KernelHandle
      init(kernel: KernelHandle) { self.kernel = kernel }

      /// Answers one message. What is returned is the reply; what is thrown reaches whoever asked.
      func receive(_ gram: BatGram) async throws -> JSON? {
        switch gram.method {
        case "greet":
          struct Greet: Decodable { var name: String }
          let greeting: String = try kernel.setting("greeting")
          return ["persona": .string(kernel.name), "content": .string("\\(greeting), \\(try gram.decode(Greet.self).name).")]
        default:
          // Everything else is conversation: the model answers under the prompt in personas.toml.
          return try await kernel.converse(gram)
        }
      }
    }

    @c(persona_entry_v1) public func entry() -> UnsafePointer<persona_entry> { export(\(Self.typeName(name)).self) }

    """
  }

  private func manifest(_ house: String) -> String {
    """
    // swift-tools-version: 6.2
    import PackageDescription

    let package = Package(
      name: "\(name)",
      products: [.library(name: "\(name)", type: .dynamic, targets: ["\(name)"])],
      // PersonaKit is all that is built of it.
      dependencies: [.package(name: "bat", path: \(JSON.string(house).text))],
      targets: [
        .target(
          name: "\(name)", dependencies: [.product(name: "PersonaKit", package: "bat")], swiftSettings: [.swiftLanguageMode(.v6)],
          // The kernel never unloads a library; the linker is told.
          linkerSettings: [.unsafeFlags(["-Xlinker", "-z", "-Xlinker", "nodelete"])])
      ]
    )

    """
  }

  private func makefile(_ include: String) -> String {
    """
    lib\(name).so: \(name).c
    \t$(CC) -std=c11 -O2 -g -Wall -Wextra -shared -fPIC -Wl,-z,nodelete -I \(include) -o $@ $<

    """
  }

  private var c: String {
    """
    /* \(name): what it is for, in a sentence. persona.h says all that a persona can do. */
    #include "persona.h"
    #include <stdio.h>
    #include <stdlib.h>
    #include <string.h>

    /* Who it is and what it can be asked: read by the kernel from the library's file, without running any code. */
    PERSONA_ABOUT("bat-persona 1\\n"
                  "name = \(name)\\n"
                  "version = 0.1\\n"
                  "summary = A persona in the making\\n"
                  "state = 1\\n"
                  "needs = bus/1\\n"
                  "config = none\\n"
                  "method.greet = greets, without a language model\\n"
                  "gives.greet = {\\"type\\":\\"object\\",\\"properties\\":{\\"content\\":{\\"type\\":\\"string\\"}},\\"required\\":[\\"content\\"]}\\n"
                  "method.count = how often it has greeted\\n");

    /* One instance. The kernel calls its functions on one thread, one at a time. */
    struct persona {
      const persona_host *host;
      const persona_bus_v1 *bus;
      unsigned long greeted;
    };

    static persona_status create(const persona_host *host, persona_text config, persona **made) {
      (void)config; /* a JSON object: its part of personas.toml. Declare what you read: "config.KEY = type, default, one line" */
      persona *self = calloc(1, sizeof *self);
      if (!self) return PERSONA_E_FAILED;
      self->host = host;
      self->bus = host->service(host, "bus/1");
      *made = self;
      return PERSONA_OK;
    }

    static void destroy(persona *self) { free(self); }

    static int is(persona_text text, const char *word) {
      return text.count == strlen(word) && memcmp(text.bytes, word, text.count) == 0;
    }

    static persona_status receive(persona *self, const persona_gram_v1 *gram) {
      char reply[128];
      if (is(gram->method, "greet")) {
        self->greeted++;
        snprintf(reply, sizeof reply, "{\\"content\\":\\"Good evening.\\"}");
      } else if (is(gram->method, "count")) {
        snprintf(reply, sizeof reply, "{\\"content\\":\\"%lu\\"}", self->greeted);
      } else {
        static const char why[] = "it knows greet and count";
        self->host->explain(self->host, (persona_text){why, sizeof why - 1});
        return PERSONA_E_UNKNOWN_METHOD;
      }
      return self->bus->reply(self->host, gram->token, (persona_text){reply, strlen(reply)});
    }

    /* What the next generation of this code must know, in the schema that `state` above names. */
    static persona_status save(persona *self, const persona_sink *into) {
      return into->write(into->context, &self->greeted, sizeof self->greeted);
    }

    static persona_status load(persona *self, uint32_t schema, persona_text state) {
      (void)schema; /* 1: there is no other yet */
      if (state.count != sizeof self->greeted) return PERSONA_E_STATE;
      memcpy(&self->greeted, state.bytes, sizeof self->greeted);
      return PERSONA_OK;
    }

    static const persona_vtable vtable = {
        .size = sizeof vtable, .destroy = destroy, .receive = receive, .save = save, .load = load};
    static const persona_entry entry = {.magic = PERSONA_MAGIC,
                                        .size = sizeof entry,
                                        .abi_major = PERSONA_ABI_MAJOR,
                                        .abi_minor = PERSONA_ABI_MINOR,
                                        .about = persona_about,
                                        .vtable = &vtable,
                                        .create = create};
    const persona_entry *persona_entry_v1(void) { return &entry; }

    """
  }

  /// A test of it: a message and the reply that it must get (docs/REPLAY.md).
  private var recording: String {
    let reply: String
    let payload: String
    if case .c = shape {
      (reply, payload) = (#"{"content": "Good evening."}"#, "{}")
    } else {
      (reply, payload) = (#"{"persona": "\#(name)", "content": "Good evening, Selina."}"#, #"{"name": "Selina"}"#)
    }
    return """
      {
        "bat-recording": 1,
        "persona": "\(name)",
        "messages": [
          {
            "gram": {"source": "visitor", "method": "greet", "payload": \(payload)},
            "reply": \(reply)
          }
        ]
      }

      """
  }
}

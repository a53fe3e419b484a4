import Foundation
import Kernel
import TestSupport
import Testing
import Wire

@testable import batkernel

private func load(
  _ text: String, path: String = "/etc/bat/personas.toml",
  environment: [String: String] = ["XDG_RUNTIME_DIR": "/run/user/7", "XDG_DATA_HOME": "/data/"]
) throws
  -> Configuration
{
  try ConfigurationFile.load(text: text, path: path, environment: environment)
}

@Suite struct ConfigurationTests {
  @Test("an empty file gives the defaults")
  func empty() throws {
    var expected = Configuration(socketPath: "/run/user/7/bat/kernel.sock", pluginFolders: [ConfigurationFile.programFolder()])
    expected.dataFolder = "/data/bat"
    #expect(try load("") == expected)
    #expect(try load("", environment: ["HOME": "/home/b"]).dataFolder == "/home/b/.local/share/bat")
  }

  @Test("without a runtime folder, or with one that is not absolute, the socket is under /tmp, by user")
  func defaultSocket() throws {
    #expect(try load("", environment: [:]).socketPath == "/tmp/bat-\(getuid())/kernel.sock")
    #expect(try load("", environment: ["XDG_RUNTIME_DIR": "run"]).socketPath == "/tmp/bat-\(getuid())/kernel.sock")
    #expect(try load("", environment: ["XDG_RUNTIME_DIR": ""]).socketPath == "/tmp/bat-\(getuid())/kernel.sock")
  }

  @Test("every key of every section arrives where Configuration says")
  func full() throws {
    let configuration = try load(
      """
      [kernel]
      socket = "~/run/k.sock"
      data = "data"
      plugins = ["plugins", "/usr/lib/bat"]
      [memory]
      embedder = "openai:e"
      url = "http://vectors:80/v1"
      api_key_env = "OTHER_KEY"
      [log]
      format = "json"
      level = "warning"
      [log.levels]
      bus = "debug"
      BRICK = "error"
      [bus]
      frame_bytes = 65_536
      queue_bytes = 131072
      mailbox_bytes = 262144
      hops = 3
      deadline_ms = 1000
      requests = 10
      [reload]
      watch = false
      settle_ms = 0
      call_ms = 20
      drain_ms = 30
      trial_ms = 40
      [llm]
      provider = "openai"
      url = "https://example.org/v1"
      model = "m"
      api_key_env = "API_KEY"
      context_tokens = 8192
      temperature = 1
      max_tokens = 100
      silence_ms = 5000
      parallel = 3
      retries = 0
      fallbacks = ["gpu/big/er", "local"]
      tokens_per_day = 9000
      summarise = false
      [llm.local]
      command = ["server", "--fast"]
      log = "model.log"
      [llm.providers.gpu]
      provider = "ollama"
      url = "http://gpu:11434"
      model = "large"
      api_key_file = "keys/gpu"
      [llm.providers.local]
      context_tokens = 2048
      [persona.BRICK]
      library = "../build/libBRICK.so"
      summary = "s"
      prompt = "p"
      model = "n"
      temperature = 0.5
      max_tokens = 7
      llm = "gpu"
      fallbacks = []
      tokens_per_question = 800
      tokens_per_day = 8000
      """, environment: ["HOME": "/home/b"])
    var expected = Configuration(socketPath: "/home/b/run/k.sock", pluginFolders: ["/etc/bat/plugins", "/usr/lib/bat"])
    expected.log.format = .json
    expected.log.level = .warning
    expected.log.levels = ["bus": .debug, "BRICK": .error]
    expected.limits.frameBytes = 65536
    expected.limits.queueBytes = 131072
    expected.limits.mailboxBytes = 262144
    expected.dataFolder = "/etc/bat/data"
    expected.memory.embedder = "openai:e"
    expected.memory.url = "http://vectors:80/v1"
    expected.memory.apiKeyVariable = "OTHER_KEY"
    expected.limits.hops = 3
    expected.limits.deadlineMilliseconds = 1000
    expected.limits.requests = 10
    expected.reload.watch = false
    expected.reload.settleMilliseconds = 0
    expected.reload.callMilliseconds = 20
    expected.reload.drainMilliseconds = 30
    expected.reload.trialMilliseconds = 40
    expected.language.standard.kind = .openai
    expected.language.standard.url = "https://example.org/v1"
    expected.language.standard.model = "m"
    expected.language.standard.apiKeyVariable = "API_KEY"
    expected.language.standard.contextTokens = 8192
    expected.language.standard.temperature = 1
    expected.language.standard.maxTokens = 100
    expected.language.standard.silenceMilliseconds = 5000
    expected.language.standard.parallel = 3
    expected.language.standard.retries = 0
    expected.language.fallbacks = ["gpu/big/er", "local"]
    expected.language.tokensPerDay = 9000
    expected.language.summarises = false
    var gpu = ProviderConfiguration()
    gpu.kind = .ollama
    gpu.url = "http://gpu:11434"
    gpu.model = "large"
    gpu.apiKeyFile = "/etc/bat/keys/gpu"
    var toy = ProviderConfiguration()
    toy.contextTokens = 2048
    expected.language.providers = ["gpu": gpu, "local": toy]
    expected.language.local.command = ["server", "--fast"]
    expected.language.local.logPath = "/etc/bat/model.log"
    expected.personas = [
      PersonaConfiguration(
        name: "BRICK", library: "/etc/bat/../build/libBRICK.so", summary: "s", prompt: "p",
        language: LanguageOverrides(model: "n", temperature: 0.5, maxTokens: 7, provider: "gpu", fallbacks: []),
        json: Array(
          #"{"name":"BRICK","library":"../build/libBRICK.so","summary":"s","prompt":"p","model":"n","temperature":0.5,"max_tokens":7,"llm":"gpu","fallbacks":[],"tokens_per_question":800,"tokens_per_day":8000}"#
            .utf8
        ))
    ]
    expected.personas[0].language.tokensPerQuestion = 800
    expected.personas[0].language.tokensPerDay = 8000
    #expect(configuration == expected)
  }

  @Test("personas keep the order of the file, also between other sections")
  func order() throws {
    let configuration = try load("[persona.ROBIN]\n[bus]\nhops = 2\n[persona.ALFRED]\n[persona.BRICK]\n")
    #expect(configuration.personas.map(\.name) == ["ROBIN", "ALFRED", "BRICK"])
    #expect(configuration.personas.map(\.library) == ["ROBIN", "ALFRED", "BRICK"])
  }

  @Test("a persona gets its whole table as JSON, keys of its own included")
  func json() throws {
    let text = #"""
      [persona.A]
      prompt = """
      Say "hi" \u0001 \\ ü
      """
      when = 1979-05-27T07:32:00Z
      day = 1979-05-27
      hour = 07:32:00
      big = 9223372036854775807
      share = -0.25
      huge = 1e300
      yes = true
      list = [1, "two", [3.5], { four = 4 }]
      [persona.A.more]
      deep = { er = "x" }
      """#
    let json = try load(text).personas[0].json
    let object = try #require(JSONSerialization.jsonObject(with: Data(json)) as? NSDictionary)
    #expect(
      object == [
        "name": "A", "prompt": "Say \"hi\" \u{1} \\ ü\n", "when": "1979-05-27T07:32:00Z", "day": "1979-05-27", "hour": "07:32:00",
        "big": Int64.max, "share": -0.25, "huge": 1e300, "yes": true, "list": [1, "two", [3.5], ["four": 4]] as NSArray,
        "more": ["deep": ["er": "x"]],
      ] as NSDictionary)
  }

  @Test(
    "a fault is told with file, line, column and key, and with what was meant",
    arguments: [
      ("[bus]\n  frame_byts = 1", ":2:3: bus.frame_byts: unknown key; did you mean frame_bytes?"),
      ("[bus]\ndeadline = 1", ":2:1: bus.deadline: unknown key; did you mean deadline_ms?"),
      (
        "[bus]\nzebra = 1", ":2:1: bus.zebra: unknown key; known here: connections, deadline_ms, frame_bytes, hops"
      ),
      ("[personas.BRICK]", ":1:2: personas: unknown key; did you mean persona?"),
      ("color = 1", ":1:1: color: unknown key; known here: bus"),
      ("[llm.locale]", ":1:6: llm.locale: unknown key; did you mean local?"),
      ("[bus]\nhops = \"8\"", ":2:1: bus.hops: must be a whole number, and is a string"),
      ("[bus]\nhops = 8.5", "bus.hops: must be a whole number, and is a number"),
      ("[bus]\nhops = 0", "bus.hops: is 0, and must be from 1 to 255"),
      ("[bus]\nhops = -1", "bus.hops: is -1"), ("bus = 3", ":1:1: bus: must be a table, as in [bus], and is a whole number"),
      ("[[persona]]\nname = \"A\"", "persona: must be a table, as in [persona], and is an array"),
      ("[persona]\nBRICK = 1", ":2:1: persona.BRICK: must be a table, as in [persona.BRICK]"),
      ("[reload]\nwatch = 1", "reload.watch: must be true or false, and is a whole number"),
      ("[kernel]\nsocket = \" \"", "kernel.socket: is empty"), ("[kernel]\nplugins = []", "kernel.plugins: is empty"),
      ("[kernel]\nplugins = [\"a\", 2]", ":2:17: kernel.plugins: must hold strings only, and here is a whole number"),
      ("[kernel]\nsocket = 2024-01-01", "kernel.socket: must be a string, and is a date"),
      ("[log]\nlevel = \"warn\"", "log.level: \"warn\" is none of debug, info, warning, error; did you mean warning?"),
      (
        "[log.levels]\nbuss = \"info\"",
        ":2:1: log.levels.buss: no part and no persona of that name; there are kernel, io, bus, reload, llm, memory; did you mean bus?"
      ),
      ("[llm]\nprovider = \"olama\"", "llm.provider: \"olama\" is none of local, ollama, openai; did you mean ollama?"),
      ("[llm]\nprovider = \"openai\"", "llm.provider: \"openai\" needs to know the server: set url"),
      ("[llm]\nurl = \"http://localhost\"", "llm.url: has no effect with provider \"local\""),
      ("[llm]\nprovider = \"ollama\"\nurl = \"localhost:11434\"", ":3:1: llm.url: \"localhost:11434\" is no address of a server"),
      ("[llm]\ntemperature = 3", "llm.temperature: is 3.0, and must be from 0.0 to 2.0"),
      ("[llm]\ntemperature = nan", "llm.temperature: is nan"),
      (
        "[llm]\nfallbacks = [\"clodu\"]\n[llm.providers.cloud]\nprovider = \"ollama\"",
        "there is no provider \"clodu\": write [llm.providers.clodu]"
      ),
      ("[llm]\nfallbacks = [\"local/\"]", "llm.fallbacks: \"local/\" names no model behind the slash"),
      ("[llm.providers.cloud]\nmodel = \"m\"", "llm.providers.cloud: needs to say its provider: ollama or openai"),
      ("[llm.providers.cloud]\nprovider = \"openai\"", "llm.providers.cloud.provider: \"openai\" needs to know the server: set url"),
      ("[llm.providers.default]\nprovider = \"ollama\"", "llm.providers.default: that is the name of what [llm] itself says"),
      ("[llm.providers.local]\nprovider = \"ollama\"", "llm.providers.local: that is the name of the kernel's own model"),
      ("[llm]\nprovider = \"ollama\"\n[llm.providers.toy]\nprovider = \"local\"", "the kernel has one local model"),
      ("[llm.providers.local]\nmodel = \"m\"", "llm.providers.local: [llm] is the local model already"),
      ("[llm.providers.gpu]\nprovider = \"ollama\"\nmodle = \"m\"", "llm.providers.gpu.modle: unknown key; did you mean model?"),
      ("[llm]\nprovider = \"ollama\"\napi_key_env = \"K\"\napi_key_file = \"k\"", "llm.api_key_file: and api_key_env both name a key"),
      ("[persona.BRICK]\nllm = \"gpu\"", "persona.BRICK.llm: there is no provider \"gpu\""),
      ("[persona.BRICK]\nfallbacks = [\"gpu/m\"]", "persona.BRICK.fallbacks: there is no provider \"gpu\""),
      ("[persona.BRICK]\npromt = \"x\"", ":2:1: persona.BRICK.promt: unknown key; did you mean prompt?"),
      ("[persona.BRICK]\npormpt = \"x\"", "persona.BRICK.pormpt: unknown key; did you mean prompt?"),
      ("[persona.BRICK]\nmaxtokens = 5", "persona.BRICK.maxtokens: unknown key; did you mean max_tokens?"),
      ("[persona.BRICK]\nmodel = \"\"", "persona.BRICK.model: is empty"),
      ("[persona.BRICK]\nname = \"ROBIN\"", "persona.BRICK.name: a persona is named by its table, here BRICK"),
      ("[persona.BRICK]\nx = [1, inf]", ":2:9: persona.BRICK: holds inf or nan"),
      ("[persona.\"1A\"]", ":1:10: persona.1A: no name for a persona: a letter, then"),
      ("[persona.\"a b\"]", "persona.a b: no name for a persona"),
      (#"[persona."\u001b[31m\u202e"]"#, #"persona.\u001b[31m\u202e: no name for a persona"#),
      ("[persona.Kernel]", "persona.Kernel: that is the kernel's own name"), ("[persona.USER]", "persona.USER: that is who speaks"),
      ("[persona.All]", "persona.All: that means everybody in a conversation"),
      ("[persona.memory]", "persona.memory: that is a part of the kernel"),
      ("[persona.BRICK]\n[persona.brick]", ":2:10: persona.brick: there is a persona BRICK already"),
      (
        "[bus]\nframe_bytes = 33554432",
        "bus.frame_bytes: queue_bytes is 16777216, and must hold at least one line of frame_bytes, 33554432"
      ),
      ("[bus]\nmailbox_bytes = 1024", "bus.mailbox_bytes: mailbox_bytes is 1024, and must be at least twice frame_bytes"),
      ("[kernel]\nsocket = \"/\(String(repeating: "s", count: 107))\"", "kernel.socket: a socket's path has at most 107 bytes"),
    ])
  func fault(text: String, message: String) {
    let error = #expect(throws: ConfigurationError.self) { try load(text, path: "personas.toml") }
    #expect(error?.findings.count == 1)
    #expect(error?.description.hasPrefix("personas.toml:") == true)
    #expect(error?.description.contains(message) == true, "\(error?.description ?? "")")
  }

  @Test("a key that may be the secret itself is not repeated")
  func secret() {
    let error = #expect(throws: ConfigurationError.self) { try load("[llm]\napi_key_env = \"sk-verysecret\"") }
    #expect(error?.description.contains("name of an environment variable") == true)
    #expect(error?.description.contains("verysecret") == false)
  }

  @Test("keys of a persona's own are free, unless they are a slip in a known one")
  func free() throws {
    let text = "[persona.NOBODY]\nmodels = [\"a\", \"b\"]\ncolour = \"blue\"\nprompts = { a = \"x\" }\nprompt = \"p\"\nprompt2 = \"q\""
    #expect(try load(text).personas.count == 1)
  }

  /// A persona that declares `delegates`, `plan` and a required `key`, in a folder of its own.
  private func declaring() throws -> TemporaryFolder {
    let folder = TemporaryFolder()
    let lines =
      "config.delegates = strings, [], whom to ask\nconfig.plan = boolean, false, plan first\nconfig.key = string, required, its data\n"
    try Fixtures.install("settings", as: "BABS", in: folder.path, defines: ["NAME": "BABS", "KEYS": lines])
    return folder
  }

  @Test(
    "a key that a persona's library does not declare, and a value that does not suit it, are refused with line and column",
    arguments: [
      (
        "tools = \"BABS.observe\"",
        ":4:1: persona.BABS.tools: must be an array of strings, and is a string; write tools = [\"BABS.observe\"]"
      ),
      ("tool = [\"BABS.observe\"]", ":4:1: persona.BABS.tool: unknown key; did you mean tools?"),
      ("libary = \"BABS\"", ":4:1: persona.BABS.libary: unknown key; did you mean library?"),
      ("tools = [\"observe\"]", ":4:1: persona.BABS.tools: \"observe\" is no method of a persona; write it as"),
      (
        "delegates = \"ROBIN\"", ":4:1: persona.BABS.delegates: must be an array of strings, and is a string; write delegates = [\"ROBIN\"]"
      ),
      ("delegates = [1]", ":4:1: persona.BABS.delegates: must be an array of strings, and is an array of other things"),
      ("delegate = [\"ROBIN\"]", ":4:1: persona.BABS.delegate: unknown key; did you mean delegates?"),
      ("plan = \"yes\"", ":4:1: persona.BABS.plan: must be true or false, and is a string"),
      ("colour = \"blue\"", ":4:1: persona.BABS.colour: unknown key: BABS 1 reads delegates, key, plan"),
    ])
  func declared(line: String, message: String) throws {
    let folder = try declaring()
    func load(_ line: String) throws -> Configuration {
      try ConfigurationFile.load(
        text: "[kernel]\nplugins = \".\"\n[persona.BABS]\n\(line)\nkey = \"k\"\n", path: folder.path + "/p.toml", environment: [:])
    }
    let error = #expect(throws: ConfigurationError.self) { try load(line) }
    #expect(error?.findings.count == 1 && error?.description.contains(message) == true, "\(error?.description ?? "")")
    #expect(try load("plan = true\ndelegates = []").personas.count == 1)
  }

  @Test("a key that the library cannot be without is missed by name, at its table")
  func required() throws {
    let folder = try declaring()
    let error = #expect(throws: ConfigurationError.self) {
      try ConfigurationFile.load(text: "[kernel]\nplugins = \".\"\n[persona.BABS]\n", path: folder.path + "/p.toml", environment: [:])
    }
    #expect(
      error?.description.contains("p.toml:3:10: persona.BABS.key: is missing, and BABS 1 cannot be without it") == true,
      "\(error?.description ?? "")")
  }

  @Test("all faults are told at once, in the order of the file")
  func all() {
    let error = #expect(throws: ConfigurationError.self) {
      try load("[persona.BRICK]\npromt = \"x\"\n[bus]\nhops = 0\nhopps = 1\n[kernel]\nsocket = 1\n", path: "p.toml")
    }
    #expect(error?.findings.map(\.position?.line) == [2, 4, 5, 7])
    #expect(error?.findings.map(\.key) == ["persona.BRICK.promt", "bus.hops", "bus.hopps", "kernel.socket"])
  }

  @Test(
    "what is not TOML is told with its place",
    arguments: [
      ("[bus]\nhops = \n", 2), ("[bus]\nhops = 1\nhops = 2", 3), ("[persona.A]\n[persona.B]\n[persona.A]", 3), ("x = \"\u{7}\"", 1),
    ])
  func syntax(text: String, line: Int) {
    let error = #expect(throws: ConfigurationError.self) { try load(text) }
    #expect(error?.findings.count == 1)
    #expect(error?.findings.first?.position?.line == line, "\(error?.description ?? "")")
    #expect(error?.findings.first?.message.isEmpty == false)
  }

  /// What made toml++ assert, or recurse as deep as the text has dots.
  static let hostile: [String] =
    [
      "[#]", "[.]", "[[.]]", "[,]", "[=]", "[", "[\n", "[[", "[]", "[a.]", "[.a]", "['", "[\"", "x=", "x=[", "x={", ".=1", "x=1.e", "x=0x",
      "x='''", "x=\"\"\"", "x=\"\\u", "x=\"\\ud800\"", "x=1979-", "x=99:99:99", "\0",
    ] + [
      "[" + String(repeating: "a.", count: 100_000) + "a]", "x=" + String(repeating: "[", count: 100_000),
      "x=" + String(repeating: "{a=", count: 100_000), String(repeating: "a.", count: 100_000) + "a=1",
      "x={" + String(repeating: "'a' . ", count: 50_000) + "a=1}", String(repeating: "a.", count: 17) + "a=1\n=",
      "x=[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]",
    ]

  @Test("a text on which a parser may stumble is refused with its line, wherever it stands", arguments: hostile)
  func stumbling(text: String) {
    for (before, line) in [("", 1), ("[bus]\nhops = 3\n", 3), ("p = \"\"\"\n[#]\n\"\"\"\n# [#]\n", 5)] {
      let error = #expect(throws: ConfigurationError.self) { try load(before + text + "\n[kernel]\n") }
      let found = error?.findings.compactMap(\.position?.line).max() ?? 0
      #expect(found >= line && found <= line + 3, "\(error?.description.prefix(300) ?? "")")
    }
  }

  @Test("dots and brackets in strings and comments are no depth")
  func noDepth() throws {
    let dots = String(repeating: "a.[{", count: 1000)
    let text =
      "# \(dots)\n[persona.A]\nx = \"\(dots)\"\ny = '\(dots)'\nz = \"\"\"\n\(dots)\\\"\"\"\(dots)\"\"\"\"\"\nw = '''\(dots)'''\nv = 1.5\n"
    #expect(try load(text).personas.count == 1)
  }

  @Test("whatever stands in the file, it is read or refused, and the process goes on")
  func fuzz() {
    let seconds = ProcessInfo.processInfo.environment["BAT_FUZZ_SECONDS"].flatMap(Double.init) ?? 1
    let seed = UInt64.random(in: 0 ... .max)
    print("configuration fuzz: seed \(seed)")
    var random = SplitMix(state: seed)
    let corpus =
      Self.hostile.filter { $0.count < 200 } + [
        "[kernel]\nsocket = \"/tmp/s\"\n[bus]\nhops = 8\n[persona.BRICK]\nprompt = \"\"\"\nlong\n\"\"\"\nx = { a = [1, 2.5, 1979-05-27T07:32:00Z], b.c = 'd' }\n",
        "[[a]]\nb = 1\n[[a]]\n[a.c]\n", "a.b.c = 1\na.b.d = 0x1F\n\"q\".'r' = inf\n",
      ]
    let pieces = [
      "[", "]", "{", "}", ".", "=", ",", "\"", "'", "\"\"\"", "'''", "#", "\n", "\r", "\\", "\\u00", "0", "9", "-", "_", "e", "é", "\0",
      "[#]", "nan",
    ]
    func below(_ count: Int) -> Int { Int(random.next() % UInt64(count)) }
    let end = ContinuousClock.now + .seconds(seconds)
    var count = 0
    while count % 64 != 0 || ContinuousClock.now < end {
      var text = Array(corpus[below(corpus.count)].unicodeScalars)
      for _ in 0...below(4) {
        let at = below(text.count + 1)
        switch below(3) {
        case 0: text.removeSubrange(at..<min(text.count, at + below(5)))
        case 1: text.insert(contentsOf: pieces[below(pieces.count)].unicodeScalars, at: at)
        default: text.insert(contentsOf: corpus[below(corpus.count)].unicodeScalars.prefix(below(60)), at: at)
        }
      }
      var whole = String.UnicodeScalarView()
      whole.append(contentsOf: text)
      _ = try? load(String(whole))
      count += 1
    }
    print("configuration fuzz: \(count) texts")
  }

  @Test("a file that is missing, a folder, and bytes that are not UTF-8 are told apart")
  func files() throws {
    let folder = TemporaryFolder()
    func message(_ path: String) -> String? {
      #expect(throws: ConfigurationError.self) { try ConfigurationFile.load(path: path, environment: [:]) }?.description
    }
    #expect(
      message(folder.path + "/none.toml")
        == "\(folder.path)/none.toml: cannot be read: No such file or directory; name another with --config")
    #expect(message(folder.path) == "\(folder.path): cannot be read: Is a directory")
    #expect(message("/dev/zero") == "/dev/zero: is no regular file; name one with --config")
    let large = try folder.write("large.toml", [UInt8](repeating: 0x0a, count: ConfigurationFile.longest + 1))
    #expect(message(large) == "\(large): has more than 4 MiB; long prompts belong into shorter ones")
    let path = try folder.write("latin.toml", Array("# fine\nx = \"".utf8) + [0xE9] + Array("\"\n".utf8))
    #expect(message(path) == "\(path):2:1: this line is not UTF-8; save the file as UTF-8")
    let good = try folder.write("good.toml", "[kernel]\nplugins = \".\"\n")
    #expect(try ConfigurationFile.load(path: good, environment: [:]).pluginFolders == [folder.path + "/."])
  }
}

@Suite struct ArgumentsTests {
  @Test("options are read with a blank or an equals sign before their value")
  func options() throws {
    #expect(try Arguments.parse([]) == Arguments())
    let expected = Arguments(command: .check, configurationPath: "x.toml", socketPath: "/s=1", logFormat: .json)
    #expect(try Arguments.parse(["--config", "x.toml", "--socket=/s=1", "--log-format", "json", "--check"]) == expected)
    #expect(try Arguments.parse(["--config=x.toml", "--check", "--socket", "/s=1", "--log-format=json"]) == expected)
    #expect(try Arguments.parse(["--version"]).command == .version)
    #expect(try Arguments.parse(["-h", "--whatever"]).command == .help)
    #expect(try Arguments.parse(["--rehearse", "--a", "b"]).command == .rehearse(["--a", "b"]))
  }

  @Test(
    "wrong usage is told with a hint",
    arguments: [
      (["--confg", "x"], "unknown option --confg; did you mean --config?"), (["--config"], "--config needs a file after it"),
      (["--config="], "--config needs a file"), (["personas.toml"], "a configuration file is named with --config"),
      (["--log-format", "xml"], "not \"xml\""), (["--check=yes"], "--check takes no value"), (["-x"], "unknown option -x"),
      (["--socket", "/" + String(repeating: "s", count: 107)], "at most 107 bytes"),
    ])
  func wrong(words: [String], message: String) {
    let error = #expect(throws: Arguments.UsageError.self) { try Arguments.parse(words) }
    #expect(
      error?.description.contains(message) == true && error?.description.hasSuffix("Try batkernel --help.") == true,
      "\(error?.description ?? "")")
  }

  @Test("a slip of the finger is one step, and a word is found by its beginning")
  func suggestions() {
    #expect(Suggestion.distance("prompt", "prompt") == 0)
    #expect(Suggestion.distance("promt", "prompt") == 1)
    #expect(Suggestion.distance("pormpt", "prompt") == 1)
    #expect(Suggestion.distance("", "abc") == 3)
    #expect(Suggestion.distance("kitten", "sitting") == 3)
    #expect(Suggestion.nearest(to: "settle", among: ["watch", "settle_ms"]) == "settle_ms")
    #expect(Suggestion.nearest(to: "zzz", among: ["watch", "settle_ms"]) == nil)
  }
}

@Suite struct CheckTests {
  private func check(_ path: String) -> (status: Int32, lines: [String]) {
    var lines: [String] = []
    let status = CheckCommand.run(configurationPath: path, services: ["bus/1", "timer/1"], environment: [:]) { lines.append($0) }
    return (status, lines)
  }

  @Test("check tells of every persona, whatever is wrong with another, and runs none of their code")
  func libraries() throws {
    let folder = TemporaryFolder()
    try Fixtures.install("echo", as: "ECHO", in: folder.path)
    try Fixtures.install("crashes_on_open", as: "CRASHER", in: folder.path)
    try Fixtures.install("missing_symbol", as: "NOBODY", in: folder.path)
    let path = try folder.write(
      "personas.toml", "[kernel]\nplugins = \"\(folder.path)\"\n[persona.ECHO]\n[persona.NOBODY]\n[persona.ABSENT]\n[persona.CRASHER]\n")
    let (status, lines) = check(path)
    #expect(status == 1)
    #expect(lines.count == 5)
    #expect(lines[0] == "\(path): ok, 4 personas")
    #expect(lines[1] == "ECHO: ok, ECHO 1 in \(folder.path)/libECHO.so")
    #expect(lines[2].hasPrefix("NOBODY: \(folder.path)/libNOBODY.so is a library but no persona"))
    #expect(lines[3].hasPrefix("ABSENT: there is no library libABSENT.so"))
    #expect(lines[4].hasPrefix("CRASHER: ok, STILLBORN 1"))
  }

  @Test("a check that finds nothing ends with 0, and warnings are no faults")
  func clean() throws {
    let folder = TemporaryFolder()
    let (status, lines) = check(try folder.write("personas.toml", "[llm]\nprovider = \"ollama\"\napi_key_env = \"NOT_SET\"\n"))
    #expect(status == 0)
    #expect(lines.count == 3 && lines[1].contains("no personas") && lines[2].contains("NOT_SET"))
  }

  @Test("a file with faults is told fault by fault")
  func faults() throws {
    let folder = TemporaryFolder()
    let (status, lines) = check(try folder.write("personas.toml", "[bus]\nhops = 0\nhopp = 1\n"))
    #expect(status == 1 && lines.count == 2)
  }
}

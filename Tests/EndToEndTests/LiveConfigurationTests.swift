import Foundation
import TestSupport
import Testing

/// What is saved goes live by itself, and is told: personas.toml, and libraries behind links.
@Suite("What is saved goes live") struct LiveConfigurationTests {
  /// SETTINGS answers everything with its part of personas.toml.
  private func house(_ lines: String = "prompt = \"one\"\n", before: String = "") throws -> (kernel: RealKernel, client: Client) {
    let kernel = try RealKernel("", start: false)
    try Fixtures.install("settings", as: "SETTINGS", in: kernel.folder)
    try kernel.write(before + "[persona.SETTINGS]\n" + lines)
    try kernel.start()
    let client = try kernel.client("GUI")
    _ = try kernel.settled(client)
    return (kernel, client)
  }

  private func configured(_ client: Client) throws -> Gram {
    try client.gram { $0.method == "receipt" && $0["outcome"] != "loaded" && $0["outcome"] != "unchanged" }
  }

  @Test("a prompt that is saved in personas.toml is live, and a receipt tells which keys were taken over")
  func saved() throws {
    let (kernel, client) = try house()
    #expect(try client.ask("SETTINGS", "any", id: 1)["plan"] == "0", "the default of a declared key")
    try kernel.write("[persona.SETTINGS]\nprompt = \"two\"\nplan = true\n")
    let receipt = try configured(client)
    #expect(receipt["outcome"] == "configured" && receipt["persona"] == "SETTINGS", "\(receipt)")
    #expect(receipt.payload["changes"] as? [String] == ["plan", "prompt"])
    let now = try client.ask("SETTINGS", "any", id: 2)
    #expect(now["prompt"] == "two" && now["plan"] == "1")
    // As editors write: a new file in the place of the old.
    let text = try String(contentsOfFile: kernel.toml, encoding: .utf8).replacing("two", with: "three")
    try Fixtures.replace(kernel.toml, with: Data(text.utf8))
    #expect(try configured(client).payload["changes"] as? [String] == ["prompt"])
    #expect(try client.ask("SETTINGS", "any", id: 3)["prompt"] == "three")
  }

  @Test("reload takes personas.toml over too, and says what is new")
  func reload() throws {
    let (kernel, client) = try house(before: "[reload]\nwatch = false\n")
    try kernel.write("[reload]\nwatch = false\n[persona.SETTINGS]\nprompt = \"two\"\n")
    let reply = try kernel.parlor("reload", "SETTINGS")
    #expect(reply.status == 0 && reply.output.contains("generation 1 goes on with prompt of personas.toml"), "\(reply)")
    #expect(try client.ask("SETTINGS", "any", id: 1)["prompt"] == "two")
    try kernel.write("[reload]\nwatch = false\n[persona.SETTINGS]\nprompt =\n")
    let warned = try client.ask("KERNEL", "personas.reload", #"{"name":"SETTINGS"}"#, id: 2)
    #expect(warned.line.contains("personas.toml is not taken over") && warned.line.contains(":8:"), "\(warned)")
  }

  @Test("a mistake that is saved is told with its place and changes nothing, and is over when it is mended")
  func mistake() throws {
    let (kernel, client) = try house()
    try kernel.write("[persona.SETTINGS]\nprompt = \"two\"\nplam = true\n")
    let refused = try configured(client)
    #expect(refused["persona"] == "personas.toml" && refused["outcome"] == "refused")
    #expect(refused["reason"]?.contains("personas.toml:7:1: persona.SETTINGS.plam: unknown key; did you mean plan?") == true, "\(refused)")
    #expect(try client.ask("SETTINGS", "any", id: 1)["prompt"] == "one")
    try kernel.write("[persona.SETTINGS]\nprompt = \"two\"\nplan = true\n")
    #expect(try configured(client)["outcome"] == "configured")
  }

  @Test("a file that is saved empty takes nobody away by itself")
  func emptied() throws {
    let (kernel, client) = try house()
    try kernel.write("")
    try kernel.write("[persona.SETTINGS]\nprompt = \"two\"\n")
    #expect(try configured(client)["outcome"] == "configured")
    try kernel.write("")
    for id in 1..<4000 where !kernel.log.contains("saved without a persona") {
      #expect(try client.ask("SETTINGS", "any", id: id)["prompt"] == "two")
      usleep(5000)
    }
    #expect(kernel.log.contains("saved without a persona"))
    #expect(try client.ask("KERNEL", "config.reload", id: 5000).payload["removed"] as? [String] == ["SETTINGS"])
  }

  @Test("config.reload tells by key what has changed, and why a persona cannot come")
  func told() throws {
    let (kernel, client) = try house()
    try kernel.write(
      "[llm]\nmax_tokens = 77\n[llm.providers.o]\nprovider = \"ollama\"\n[persona.SETTINGS]\nprompt = \"two\"\n[persona.GUI]\nlibrary = \"SETTINGS\"\n"
    )
    let reply = try client.ask("KERNEL", "config.reload", id: 1)
    #expect(reply.payload["applied"] as? [String] == ["llm.max_tokens", "llm.providers.o"], "\(reply)")
    #expect(reply.payload["changed"] as? [String] == ["SETTINGS"] && reply.payload["added"] as? [String] == [])
    #expect(reply.payload["keys"] as? [String: [String]] == ["SETTINGS": ["prompt"]])
    let refused = reply.payload["refused"] as? [String: String]
    #expect(refused?["GUI"]?.contains("a connected client is called GUI") == true, "\(reply)")
  }

  @Test("a thousand requests to read the file share few readings, and each is answered")
  func many() throws {
    let (kernel, client) = try house(before: "[reload]\nwatch = false\n")
    try kernel.write("[reload]\nwatch = false\n[persona.SETTINGS]\nprompt = \"two\"\n")
    try client.write((1...1000).map { "{\"target\":\"KERNEL\",\"method\":\"config.reload\",\"id\":\($0)}\n" }.joined())
    var answered: Set<String> = []
    while answered.count < 1000 { answered.insert(try client.gram { $0.re != nil && $0.method == "reply" }.re ?? "") }
    #expect(try client.ask("SETTINGS", "any", id: 2000)["prompt"] == "two")
  }

  @Test("a library that is a link is reloaded when its target is built, when it leads elsewhere, and when a folder on the way does")
  func links() throws {
    let kernel = try RealKernel("", start: false)
    let folder = kernel.folder
    for version in ["1", "2", "3"] {
      try FileManager.default.createDirectory(atPath: "\(folder)/v\(version)", withIntermediateDirectories: true)
      try Fixtures.install("echo", as: "LINKED", in: "\(folder)/v\(version)", defines: ["NAME": "LINKED", "VERSION": version])
      try Fixtures.install("echo", as: "DEEP", in: "\(folder)/v\(version)", defines: ["NAME": "DEEP", "VERSION": version])
    }
    #expect(symlink("v1/libLINKED.so", folder + "/libLINKED.so") == 0)
    #expect(symlink("v1", folder + "/current") == 0)
    try kernel.write("[persona.LINKED]\n[persona.DEEP]\nlibrary = \"\(folder)/current/libDEEP.so\"\n")
    try kernel.start()
    let client = try kernel.client("GUI")
    _ = try kernel.settled(client)
    func reloaded(_ name: String) throws -> String? {
      try client.gram { $0.method == "receipt" && $0["persona"] == name && $0["outcome"] == "reloaded" }["version"]
    }
    // The target is built anew.
    try Fixtures.install("echo", as: "LINKED", in: "\(folder)/v1", defines: ["NAME": "LINKED", "VERSION": "1b"])
    #expect(try reloaded("LINKED") == "1b")
    // The link leads elsewhere, and what is there now is built.
    #expect(symlink("v2/libLINKED.so", folder + "/new") == 0 && rename(folder + "/new", folder + "/libLINKED.so") == 0)
    #expect(try reloaded("LINKED") == "2")
    try Fixtures.install("echo", as: "LINKED", in: "\(folder)/v2", defines: ["NAME": "LINKED", "VERSION": "2b"])
    #expect(try reloaded("LINKED") == "2b")
    // The folder's link does, at once and by way of nothing.
    #expect(symlink("v2", folder + "/next") == 0 && rename(folder + "/next", folder + "/current") == 0)
    #expect(try reloaded("DEEP") == "2")
    #expect(unlink(folder + "/current") == 0 && symlink("v3", folder + "/current") == 0)
    #expect(try reloaded("DEEP") == "3")
    try Fixtures.install("echo", as: "DEEP", in: "\(folder)/v3", defines: ["NAME": "DEEP", "VERSION": "3b"])
    #expect(try reloaded("DEEP") == "3b")
  }
}

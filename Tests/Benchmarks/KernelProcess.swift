import Foundation

/// A running batkernel of this build. Stopped with SIGTERM, or killed when it goes out of scope.
final class KernelProcess {
  let pid: pid_t
  let socket: String
  /// When it was about to be started.
  let began: UInt64
  private var running = true

  /// Starts it with a configuration file; returns at once. Its log goes to a file beside the socket.
  ///
  /// - Parameter environment: beside what this process has.
  init(_ house: House, configuration: String, folder: String, environment: [String: String] = [:]) throws {
    socket = folder + "/kernel.sock"
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    posix_spawn_file_actions_addopen(&actions, 2, folder + "/kernel.log", O_WRONLY | O_CREAT | O_APPEND, 0o600)
    defer { posix_spawn_file_actions_destroy(&actions) }
    let words = [house.kernelPath, "--config", configuration, "--socket", socket]
    var pointers = words.map { strdup($0) } + [nil]
    defer { for pointer in pointers { free(pointer) } }
    let variables = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    var settings = variables.map { strdup("\($0.key)=\($0.value)") } + [nil]
    defer { for setting in settings { free(setting) } }
    var child: pid_t = 0
    began = now()
    let result = posix_spawn(&child, house.kernelPath, &actions, nil, &pointers, &settings)
    guard result == 0 else { throw Broken("\(house.kernelPath) cannot be started: \(String(cString: strerror(result)))") }
    pid = child
  }

  /// Starts one in a folder of its own, with personas named and their libraries put in place, and waits until they run.
  convenience init(_ house: House, _ personas: [(name: String, library: Data)], watch: Bool, environment: [String: String] = [:]) throws {
    let folder = "\(house.folder)/\(UInt64.random(in: 0 ... .max))"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
    var text =
      "[kernel]\ndata = \"\(folder)/data\"\nplugins = \"\(folder)\"\n[log]\nlevel = \"warning\"\n[reload]\nwatch = \(watch)\nsettle_ms = 100\n"
    for persona in personas {
      try house.install(persona.library, as: persona.name, in: folder)
      text += "[persona.\(persona.name)]\nprompt = \"none\"\n"
    }
    let configuration = folder + "/personas.toml"
    try text.write(toFile: configuration, atomically: false, encoding: .utf8)
    try self.init(house, configuration: configuration, folder: folder, environment: environment)
    if !personas.isEmpty { try waitUntilRunning(personas.count) }
  }

  var folder: String { String(socket.prefix(upTo: socket.lastIndex(of: "/")!)) }

  /// A connection, as soon as there can be one.
  func connect() throws -> Connection {
    while true {
      if let connection = Connection(socket) { return connection }
      var status: Int32 = 0
      if waitpid(pid, &status, WNOHANG) == pid {
        running = false
        throw Broken("the kernel has ended: \((try? String(contentsOfFile: folder + "/kernel.log", encoding: .utf8)) ?? "")")
      }
      if now() - began > 20_000_000_000 { throw Broken("the kernel does not listen within 20 s") }
      usleep(200)
    }
  }

  /// Returns when so many personas run.
  func waitUntilRunning(_ count: Int) throws {
    let client = try connect()
    try client.line("WAITER")
    while true {
      let list = try client.ask("KERNEL", "personas.list")
      let personas = list["personas"] as? [[String: Any]] ?? []
      if let failed = personas.first(where: { $0["state"] as? String == "failed" }) {
        throw Broken("\(failed["name"] ?? "a persona") does not run: \(failed["reason"] ?? "")")
      }
      if personas.filter({ $0["state"] as? String == "running" }).count >= count { return }
      if now() - began > 30_000_000_000 { throw Broken("the personas do not run within 30 s") }
      usleep(500)
    }
  }

  /// Resident memory in KiB.
  func memory() -> Double { status("VmRSS:") }

  /// The part of it that is no page of a file, in KiB.
  func ownMemory() -> Double { status("RssAnon:") }

  private func status(_ key: String) -> Double {
    guard let text = try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8) else { return .nan }
    let line = text.split(separator: "\n").first { $0.hasPrefix(key) }
    return line?.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap { Double($0) } ?? .nan
  }

  /// CPU seconds that it has used.
  func cpu() -> Double {
    guard let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8), let end = text.lastIndex(of: ")") else {
      return .nan
    }
    let fields = text[end...].split(separator: " ")
    return fields.count > 13 ? ((Double(fields[12]) ?? 0) + (Double(fields[13]) ?? 0)) / Double(sysconf(Int32(_SC_CLK_TCK))) : .nan
  }

  /// Ends it as an operator does; anything but exit status 0 breaks a claim.
  func stop() throws {
    guard running else { return }
    running = false
    kill(pid, SIGTERM)
    var status: Int32 = 0
    waitpid(pid, &status, 0)
    if status != 0 { throw Broken("the kernel did not end with 0 after SIGTERM (wait status \(status))") }
  }

  deinit {
    if running {
      kill(pid, SIGKILL)
      var status: Int32 = 0
      waitpid(pid, &status, 0)
    }
  }
}

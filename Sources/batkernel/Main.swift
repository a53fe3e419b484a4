import Kernel

@main enum Main {
  static func main() throws {
    let configuration = Configuration(socketPath: CommandLine.arguments.last!, pluginFolders: [])
    let kernel = try BatKernel(configuration, logger: Logger(configuration.log))
    kernel.handleSignals()
    try kernel.listen()
    kernel.run()
  }
}

// swift-tools-version: 6.2
// The B.A.T. Computer: a kernel that hosts personas, the personas, and the terminal client.
// No third-party Swift package; system C libraries: libcurl, SQLite, toml++, libcrypto, md4c, libxml2.
import Foundation
import PackageDescription

let strict: [SwiftSetting] = [.swiftLanguageMode(.v6), .treatAllWarnings(as: .error)]

/// For modules that much depends on and whose functions nobody needs inlined elsewhere. Without cross-module optimisation a module's interface
/// stays as it is when the body of a function changes, and so do the modules that import it: a small change is a small build. What must be
/// inlined across these is @inlinable.
let apart: [SwiftSetting] = strict + [.unsafeFlags(["-disable-cmo"], .when(configuration: .release))]

/// Each folder under Plugins with Swift in it is a persona: one dynamic library that knows PersonaKit and nothing else.
let plugins = files(in: "Plugins").filter { name in files(in: "Plugins/\(name)").contains { $0.hasSuffix(".swift") } }

func files(in folder: String) -> [String] {
  let path = Context.packageDirectory + "/" + folder
  return (try? FileManager.default.contentsOfDirectory(atPath: path))?.filter { !$0.hasPrefix(".") }.sorted() ?? []
}

let package = Package(
  name: "bat",
  products: [
    .executable(name: "batkernel", targets: ["batkernel"]),
    .executable(name: "parlor", targets: ["parlor"]),
    .library(name: "PersonaKit", targets: ["PersonaKit"]),
  ] + plugins.map { .library(name: $0, type: .dynamic, targets: [$0]) },
  targets: [
    .target(name: "PersonaABI"),
    .target(name: "CPlatform"),
    .target(name: "CTOML"),
    .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
    .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
    .systemLibrary(name: "CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(name: "CMarkdown", pkgConfig: "md4c", providers: [.apt(["libmd4c-dev"])]),
    .systemLibrary(name: "CHTML", pkgConfig: "libxml-2.0", providers: [.apt(["libxml2-dev"])]),
    // The inner loops of vector search: without optimisation they would be fifty times slower, in a debug build too.
    .target(name: "CVector", cSettings: [.unsafeFlags(["-O3"])]),

    .target(name: "Wire", swiftSettings: strict),
    .target(name: "System", dependencies: ["CPlatform"], swiftSettings: strict),
    .target(name: "Protocol", dependencies: ["Wire"], swiftSettings: apart),
    .target(name: "Passages", dependencies: ["CHTML", "CMarkdown", "System"], swiftSettings: strict),
    .target(name: "Client", dependencies: ["Protocol", "System", "Wire"], swiftSettings: apart),
    .target(name: "Kernel", dependencies: ["PersonaABI", "CCrypto", "CPlatform", "Protocol", "System", "Wire"], swiftSettings: apart),
    .target(
      name: "Services", dependencies: ["Kernel", "Protocol", "System", "Wire", "CCurl", "CSQLite", "CVector"], swiftSettings: apart),
    .target(name: "PersonaKit", dependencies: ["PersonaABI"], swiftSettings: strict),
    .target(name: "Workbench", dependencies: ["Kernel", "PersonaABI", "CPlatform", "Protocol", "System", "Wire"], swiftSettings: apart),

    .executableTarget(
      name: "batkernel", dependencies: ["Kernel", "Services", "Protocol", "System", "Wire", "CTOML"], swiftSettings: strict),
    .executableTarget(
      name: "parlor", dependencies: ["Client", "Passages", "Workbench", "CPlatform", "Protocol", "System", "Wire"], swiftSettings: strict),

    // Drives the release binaries by their socket, so it depends on none of the targets above.
    .executableTarget(name: "benchmarks", path: "Tests/Benchmarks", swiftSettings: strict),
    .executableTarget(
      name: "memory-benchmarks", dependencies: ["Services", "Protocol", "System", "Wire"], path: "Tests/MemoryBenchmarks",
      exclude: ["peers.py"],
      swiftSettings: strict),
    .target(name: "TestSupport", path: "Tests/Support", swiftSettings: strict),
    // Damages inputs by a seed and checks what is made of them.
    .executableTarget(
      name: "fuzz", dependencies: ["Kernel", "Passages", "Services", "Wire", "TestSupport"], path: "Tests/Fuzz", exclude: ["corpus"],
      swiftSettings: strict),
    .testTarget(name: "SystemTests", dependencies: ["System"], swiftSettings: strict),
    .testTarget(name: "ProtocolTests", dependencies: ["Protocol", "Wire"], swiftSettings: strict),
    .testTarget(name: "ClientTests", dependencies: ["Client", "Protocol", "System", "Wire"], swiftSettings: strict),
    .testTarget(name: "WireTests", dependencies: ["Wire"], swiftSettings: strict),
    .testTarget(
      name: "KernelTests", dependencies: ["Kernel", "Protocol", "System", "Wire", "PersonaABI", "TestSupport"], swiftSettings: strict),
    .testTarget(
      name: "ServicesTests", dependencies: ["Services", "Kernel", "Protocol", "System", "Wire", "TestSupport"],
      exclude: ["Memory/reference.py", "Memory/wordllama.json"],
      swiftSettings: strict),
    .testTarget(name: "PersonaKitTests", dependencies: ["PersonaKit", "PersonaABI", "TestSupport"], swiftSettings: strict),
    .testTarget(
      name: "WorkbenchTests", dependencies: ["Workbench", "Kernel", "PersonaABI", "Protocol", "System", "Wire", "TestSupport"],
      swiftSettings: strict),
    .testTarget(
      name: "EndToEndTests",
      dependencies: ["batkernel", "Client", "Kernel", "Passages", "Workbench", "Protocol", "System", "Wire", "parlor", "TestSupport"],
      exclude: ["original"],
      swiftSettings: strict),
  ]
    + plugins.map {
      .target(
        name: $0, dependencies: ["PersonaKit", "PersonaABI"], path: "Plugins/\($0)",
        exclude: files(in: "Plugins/\($0)").contains("tests") ? ["tests"] : [], swiftSettings: strict,
        linkerSettings: [.unsafeFlags(["-Xlinker", "-z", "-Xlinker", "nodelete"])])
    },
  cxxLanguageStandard: .cxx17
)

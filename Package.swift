// swift-tools-version: 6.2
// The B.A.T. Computer: a kernel that hosts personas, the personas, and the terminal client.
// No third-party Swift package; system C libraries: libcurl, toml++.
import Foundation
import PackageDescription

let strict: [SwiftSetting] = [.swiftLanguageMode(.v6), .treatAllWarnings(as: .error)]

/// Each folder under Plugins is a persona: one dynamic library that knows PersonaKit and nothing else.
let plugins =
  (try? FileManager.default.contentsOfDirectory(atPath: Context.packageDirectory + "/Plugins"))?
  .filter { !$0.hasPrefix(".") }.sorted() ?? []

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

    .target(name: "Wire", swiftSettings: strict),
    .target(name: "Kernel", dependencies: ["PersonaABI", "CPlatform", "Wire"], swiftSettings: strict),
    .target(name: "Services", dependencies: ["Kernel", "Wire", "CCurl"], swiftSettings: strict),
    .target(name: "PersonaKit", dependencies: ["PersonaABI"], swiftSettings: strict),
    .target(name: "Workbench", dependencies: ["Kernel", "PersonaABI", "CPlatform", "Wire"], swiftSettings: strict),

    .executableTarget(
      name: "batkernel", dependencies: ["Kernel", "Services", "Workbench", "Wire", "CTOML"], swiftSettings: strict),
    .executableTarget(name: "parlor", dependencies: ["Workbench", "Kernel", "Wire"], swiftSettings: strict),

    // Drives the release binaries by their socket, so it depends on none of the targets above.
    .executableTarget(name: "benchmarks", path: "Tests/Benchmarks", swiftSettings: strict),
    .target(name: "TestSupport", path: "Tests/Support", swiftSettings: strict),
    .testTarget(name: "WireTests", dependencies: ["Wire"], swiftSettings: strict),
    .testTarget(name: "KernelTests", dependencies: ["Kernel", "Wire", "PersonaABI", "TestSupport"], swiftSettings: strict),
    .testTarget(
      name: "ServicesTests", dependencies: ["Services", "Kernel", "Wire"], exclude: ["RAG/reference.py", "RAG/wordllama.json"],
      swiftSettings: strict),
    .testTarget(name: "PersonaKitTests", dependencies: ["PersonaKit", "PersonaABI", "TestSupport"], swiftSettings: strict),
    .testTarget(
      name: "WorkbenchTests", dependencies: ["Workbench", "Kernel", "PersonaABI", "Wire", "TestSupport"], swiftSettings: strict),
    .testTarget(
      name: "EndToEndTests", dependencies: ["batkernel", "Kernel", "Wire", "parlor", "TestSupport"], exclude: ["original"],
      swiftSettings: strict),
  ]
    + plugins.map {
      .target(
        name: $0, dependencies: ["PersonaKit", "PersonaABI"], path: "Plugins/\($0)", swiftSettings: strict,
        linkerSettings: [.unsafeFlags(["-Xlinker", "-z", "-Xlinker", "nodelete"])])
    },
  cxxLanguageStandard: .cxx17
)

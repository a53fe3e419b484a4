import Foundation

/// Counts what a kernel allocates, by a library that is preloaded into it: Tests/Fixtures/allocations.c.
final class AllocationCounter {
  /// What the kernel must be started with.
  let environment: [String: String]
  private let memory: UnsafeMutableRawPointer

  init(_ house: House) throws {
    let library = "\(house.folder)/allocations.so"
    let path = "\(house.folder)/allocations"
    try house.cc(["-shared", "-fPIC", "-O2", "-o", library, "\(house.repository)/Tests/Fixtures/allocations.c"])
    try Data(count: 8).write(to: URL(filePath: path))
    let file = open(path, O_RDONLY | O_CLOEXEC)
    defer { close(file) }
    guard file >= 0, let memory = mmap(nil, 8, PROT_READ, MAP_SHARED, file, 0), memory != MAP_FAILED else {
      throw Broken("\(path) cannot be mapped: \(reason())")
    }
    self.memory = memory
    environment = ["LD_PRELOAD": library, "BAT_ALLOCATIONS": path]
  }

  deinit { munmap(memory, 8) }

  /// So many allocations up to now, of all of the kernel's threads.
  var count: Int { Int(memory.load(as: UInt64.self)) }
}

import Protocol
import Testing

@testable import Services

@Suite("The operations of the memory") struct MemoryOperationTests {
  @Test("are exactly those of KERNEL's methods that begin with \"memory.\", in their order")
  func protocolMethods() {
    // Not a key path of an existential type: the compiler crashes on it.
    let methods = KernelMethods.memory.map { $0.method.name }
    let operations = MemoryOperation.all.map { "memory." + $0.name }
    #expect(operations == methods)
  }

  @Test("take no key that the page does not say")
  func keys() throws {
    for (operation, method) in zip(MemoryOperation.all, KernelMethods.memory) {
      let takes: String = method.method.takes
      // The page refers to another operation.
      if takes.contains("as `") || takes.contains("as in `") { continue }
      for key in operation.keys { #expect(takes.contains("\"\(key)\""), "\(operation.name) takes \(key), and the page says: \(takes)") }
    }
  }
}

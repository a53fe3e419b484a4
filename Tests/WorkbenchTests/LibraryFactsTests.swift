import TestSupport
import Testing

@testable import Workbench

@Suite struct LibraryFactsTests {
  @Test("a library's facts are read without running it, also of one that crashes when it is opened")
  func facts() throws {
    let facts = try LibraryFacts(reading: try Fixtures.build("crashes_on_open"))
    #expect(!facts.about.name.isEmpty && facts.hash.count == 64)
  }
}

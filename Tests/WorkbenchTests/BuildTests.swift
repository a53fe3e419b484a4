import Foundation
import TestSupport
import Testing

@testable import Workbench

@Suite("Builds of personas") struct BuildTests {
  @Test("what compilers and linkers write is read as complaints with their places, each once")
  func diagnostics() {
    let output = """
      /h/Plugins/A/A.swift:12:5: error: cannot find 'x' in scope
      10 |
      12 |     x()
         |     `- error: cannot find 'x' in scope
      /h/Plugins/A/A.swift:12:5: error: cannot find 'x' in scope
      a.c: In function ‘receive’:
      a.c:7:3: warning: unused variable ‘y’ [-Wunused-variable]
      a.c:9:10: fatal error: nothing.h: No such file or directory
      lucius.py:3: error: invalid syntax
      /usr/bin/ld: /tmp/a.o: in function `receive':
      a.c:(.text+0x1d): undefined reference to `nowhere'
      collect2: error: ld returned 1 exit status
      make: *** [Makefile:2: libA.so] Error 1
      error: fatalError
      """
    let found = Diagnostic.read(output).map { $0.text(from: "/h/Plugins/A") }
    #expect(
      found == [
        "A.swift:12:5: error: cannot find 'x' in scope", "a.c:7:3: warning: unused variable ‘y’ [-Wunused-variable]",
        "a.c:9:10: error: nothing.h: No such file or directory", "lucius.py:3: error: invalid syntax",
        "error: undefined reference to `nowhere'", "error: [Makefile:2: libA.so] Error 1", "error: fatalError",
      ])
  }

  @Test("a folder is known by what is in it; what is none says what it would need")
  func sources() throws {
    let folder = TemporaryFolder()
    try folder.write("c/Makefile", "all:\n")
    try folder.write("s/Package.swift", "")
    try folder.write("house/Plugins/A/A.swift", "")
    try folder.write("house/Package.swift", "")
    try folder.write("house/Sources/PersonaKit/P.swift", "")
    try folder.write("empty/a.txt", "")
    #expect(try PersonaSource(name: "A", folder: folder.path + "/c").kind == .makefile)
    #expect(try PersonaSource(name: "A", folder: folder.path + "/s").kind == .package)
    let house = try #require(PersonaSource.real(folder.path + "/house"))
    #expect(try PersonaSource(name: "A", folder: house + "/Plugins/A").kind == .plugin(house: house))
    #expect(PersonaSource.house(above: house + "/Plugins/A") == house && PersonaSource.house(above: folder.path) == nil)
    let error = #expect(throws: PersonaSource.Unknown.self) { try PersonaSource(name: "A", folder: folder.path + "/empty") }
    #expect(error?.description.contains("neither a Makefile nor a Package.swift") == true)
    try folder.write("s/.build/debug/libA.so", "")
    #expect(try PersonaSource(ofLibrary: folder.path + "/c/libA.so", name: "A").kind == .makefile)
    #expect(throws: PersonaSource.Unknown.self, "a house is no persona") {
      try PersonaSource(ofLibrary: house + "/.build/x/libA.so", name: "A")
    }
    #expect(try PersonaSource(ofLibrary: folder.path + "/s/.build/debug/libA.so", name: "A").kind == .package)
  }

  @Test("what editors and compilers leave behind is no source")
  func isSource() {
    for name in ["A.swift", "a.c", "Makefile", "x/y.h", "a.py"] { #expect(PersonaSource.isSource("/p/" + name)) }
    for name in ["liba.so", "a.o", ".a.c.swp", "a.c~", "4913", "a.so.new"] { #expect(!PersonaSource.isSource("/p/" + name)) }
  }

  @Test("a build that fails tells why, one that cannot be started too, and one that works names its library")
  func outcomes() throws {
    let folder = TemporaryFolder()
    try folder.write("Makefile", "libA.so: a.c\n\tcc -shared -fPIC -o $@ $<\n")
    try folder.write("a.c", "int f(void) { return x; }\n")
    let source = try PersonaSource(name: "A", folder: folder.path)
    guard case .failed(let found, _) = Build(BuildPlan(source)).wait() else { throw Client.Lost(description: "it was built") }
    #expect(found.first?.file?.hasSuffix("a.c") == true && found.first?.line == 1)
    try folder.write("a.c", "int f(void) { return 1; }\n")
    guard case .built(let library, let seconds, _) = Build(BuildPlan(source)).wait() else { throw Client.Lost(description: "not built") }
    #expect(library == source.folder + "/libA.so" && seconds > 0)
    try folder.write("Makefile", "all:\n\tkill -9 $$PPID\n")
    guard case .failed(let killed, _) = Build(BuildPlan(source)).wait() else { throw Client.Lost(description: "it was built") }
    #expect(killed.last?.message.contains("signal") == true)
  }

  @Test("PersonaKit is built once after its source has a new time, also when that changes nothing in what is built")
  func personaKit() throws {
    let folder = TemporaryFolder()
    for name in ["Plugins/A/A.swift", "Sources/PersonaKit/Kit.swift", "Sources/PersonaABI/include/persona.h"] { try folder.write(name, "") }
    for name in ["Modules/PersonaKit.swiftmodule", "PersonaKit.build/PersonaKit.o"] { try folder.write(".build/release/" + name, "") }
    func date(_ name: String, _ second: Int) {
      var times = [timespec(tv_sec: second, tv_nsec: 0), timespec(tv_sec: second, tv_nsec: 0)]
      #expect(utimensat(AT_FDCWD, folder.path + "/" + name, &times, 0) == 0)
    }
    func programs() throws -> [String] {
      BuildPlan(try PersonaSource(name: "A", folder: folder.path + "/Plugins/A")).steps.map { $0.words[0] }
    }
    date("Sources/PersonaKit/Kit.swift", 1)
    date("Sources/PersonaABI/include/persona.h", 1)
    #expect(try programs() == ["swiftc"])
    for name in ["Modules/PersonaKit.swiftmodule", "PersonaKit.build/PersonaKit.o"] { date(".build/release/" + name, 10) }
    date("Sources/PersonaABI/include/persona.h", 20)
    #expect(try programs() == ["touch", "swift", "mv", "swiftc"])
    // What those steps leave behind when the compiler had nothing to do.
    try folder.write(".build/PersonaKit-release.stamp", "")
    #expect(try programs() == ["swiftc"])
  }

  @Test("make builds anew what it takes for up to date, when it is told that files' times are wrong")
  func anew() throws {
    let folder = TemporaryFolder()
    try folder.write("Makefile", "libA.so: a.c\n\tcp $< $@\n")
    try folder.write("libA.so", "what an older save has made, after the newer save was written")
    try folder.write("a.c", "the newer save")
    var past = [timespec(tv_sec: 1, tv_nsec: 0), timespec(tv_sec: 1, tv_nsec: 0)]
    utimensat(AT_FDCWD, folder.path + "/a.c", &past, 0)
    let source = try PersonaSource(name: "A", folder: folder.path)
    func built() throws -> String { try String(contentsOfFile: folder.path + "/libA.so", encoding: .utf8) }
    _ = Build(BuildPlan(source)).wait()
    #expect(try built().hasPrefix("what an older save"))
    _ = Build(BuildPlan(source, anew: true)).wait()
    #expect(try built() == "the newer save")
  }

  @Test("a source that was written, touched or replaced bears another stamp; one that was only opened for writing does not")
  func stamps() throws {
    let folder = TemporaryFolder()
    let file = try folder.write("a.c", "one")
    try folder.write("liba.so", "no source")
    var last = PersonaSource.stamps(in: folder.path)
    #expect(Array(last.keys) == [file])
    close(open(file, O_WRONLY))
    #expect(PersonaSource.stamps(in: folder.path) == last)
    func isAnother() -> Bool {
      defer { last = PersonaSource.stamps(in: folder.path) }
      return PersonaSource.stamps(in: folder.path) != last
    }
    // With the time and the length that the file had: only the state's own time and the number tell.
    var past = [timespec(tv_sec: 1, tv_nsec: 0), timespec(tv_sec: 1, tv_nsec: 0)]
    utimensat(AT_FDCWD, file, &past, 0)
    #expect(isAnother())
    let other = try folder.write("b.txt.new", "two")
    utimensat(AT_FDCWD, other, &past, 0)
    rename(other, file)
    #expect(isAnother())
    unlink(file)
    #expect(isAnother() && last.isEmpty)
  }

  @Test("what a compiler warns of is told of a build that works")
  func warnings() throws {
    let folder = TemporaryFolder()
    try folder.write("Makefile", "libA.so: a.c\n\tcc -Wall -shared -fPIC -o $@ $<\n")
    try folder.write("a.c", "int f(void) { int unused; return 1; }\n")
    guard case .built(_, _, let warnings) = Build(BuildPlan(try PersonaSource(name: "A", folder: folder.path))).wait() else {
      throw Client.Lost(description: "not built")
    }
    #expect(warnings.map(\.severity) == [.warning] && warnings[0].line == 1)
  }

  @Test("a plugin is linked with PersonaKit's objects of today's sources, and of no source that is gone")
  func objects() throws {
    let house = TemporaryFolder()
    for name in ["A", "B"] { try house.write("Sources/PersonaKit/\(name).swift", "") }
    for name in ["A.swift", "B.swift", "Gone.swift"] { try house.write("debug/PersonaKit.build/\(name).o", "") }
    let folder = house.path + "/debug"
    #expect(
      BuildPlan.objects(of: folder, house: house.path) == ["A", "B"].map { folder + "/PersonaKit.build/\($0).swift.o" })
    try house.write("Sources/PersonaKit/New.swift", "")
    #expect(BuildPlan.objects(of: folder, house: house.path) == nil, "the build folder is older than New.swift")
    try house.write("debug/PersonaKit.build/PersonaKit.o", "")
    #expect(BuildPlan.objects(of: folder, house: house.path) == [folder + "/PersonaKit.build/PersonaKit.o"])
  }

  @Test("a Makefile's library is where the persona's is, also in a folder below")
  func libraryBelow() throws {
    let folder = TemporaryFolder()
    try folder.write("Makefile", "")
    try folder.write("out/keep", "")
    let plan = BuildPlan(try PersonaSource(ofLibrary: folder.path + "/out/libA.so", name: "A"))
    #expect(plan.library == PersonaSource.real(folder.path)! + "/out/libA.so" && plan.steps[0].folder == PersonaSource.real(folder.path))
  }

  @Test("a build that is given up ends with all that it has started")
  func cancelled() throws {
    let folder = TemporaryFolder()
    // In a group of its own, as SwiftPM and swiftc start theirs.
    try folder.write("group.sh", "set -m\nsleep 1000 &\necho $! > pid\nwait\n")
    try folder.write("Makefile", "all:\n\tbash group.sh\n")
    var build: Build? = Build(BuildPlan(try PersonaSource(name: "A", folder: folder.path)))
    var pid: pid_t?
    while pid == nil {
      _ = build?.advance()
      pid = (try? String(contentsOfFile: folder.path + "/pid", encoding: .utf8)).flatMap { pid_t($0.dropLast()) }
      sched_yield()
    }
    build = nil
    // It is gone, or waits for its new parent to see that it is, when the system has come to that.
    func isAlive(_ pid: pid_t) -> Bool {
      kill(pid, 0) == 0 && (try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8))?.contains(") Z") == false
    }
    let sleeper = try #require(pid)
    let limit = ContinuousClock.now + .seconds(20)
    while isAlive(sleeper), ContinuousClock.now < limit { sched_yield() }
    #expect(!isAlive(sleeper))
    if isAlive(sleeper) { kill(sleeper, SIGKILL) }
  }
}

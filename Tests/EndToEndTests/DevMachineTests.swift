import Testing

@testable import parlor

@Suite("What parlor dev does for a persona") struct DevMachineTests {
  private var machine = DevMachine(isConnected: true)

  /// From rest to a library that is being loaded.
  private func loading() -> DevMachine {
    var machine = machine
    _ = machine.handle(.saved(at: 10, written: 10), now: 10)
    #expect(machine.handle(.time, now: 10.02) == [.build(anew: false)])
    #expect(machine.handle(.built(library: "/l", seconds: 0.4), now: 10.5) == [.load(library: "/l")])
    return machine
  }

  @Test("a save is built, loaded and asked, and the time is told from the save on")
  func whole() {
    var machine = loading()
    #expect(machine.handle(.receipt(.done), now: 10.6) == [.ask])
    #expect(machine.handle(.answered, now: 10.75) == [.tell(total: 0.75, compiler: 0.4)])
    #expect(machine.phase == .resting)
  }

  @Test("the several writes of one save are one build, and the clock runs from the last of them")
  func settling() {
    var machine = machine
    #expect(machine.handle(.saved(at: 1, written: 1), now: 1) == [])
    #expect(machine.handle(.saved(at: 1.01, written: 1.01), now: 1.01) == [])
    #expect(machine.handle(.time, now: 1.025) == [] && machine.due == 1.01 + DevMachine.quiet)
    #expect(machine.handle(.time, now: 1.031) == [.build(anew: false)] && machine.savedAt == 1.01)
  }

  @Test("a save during a build ends that build and begins another; what the first one made is not loaded")
  func during() {
    var machine = machine
    _ = machine.handle(.saved(at: 1, written: 1), now: 1)
    _ = machine.handle(.time, now: 2)
    #expect(machine.handle(.saved(at: 2.5, written: 2.5), now: 2.5) == [.cancelBuild])
    #expect(machine.handle(.built(library: "/old", seconds: 1), now: 2.51) == [])
    #expect(machine.handle(.time, now: 3) == [.build(anew: true)], "what the first one has written may be newer than the source")
  }

  @Test("a file whose time is before the end of the last build is built anew, though its time says nothing")
  func untrustedTimes() {
    var machine = loading()
    _ = machine.handle(.receipt(.done), now: 10.6)
    _ = machine.handle(.answered, now: 10.7)
    _ = machine.handle(.saved(at: 20, written: 3), now: 20)
    _ = machine.handle(.saved(at: 20.01, written: 20.01), now: 20.01)
    #expect(machine.handle(.time, now: 21) == [.build(anew: true)])
    _ = machine.handle(.failed, now: 22)
    _ = machine.handle(.saved(at: 23, written: 23), now: 23)
    #expect(machine.handle(.time, now: 24) == [.build(anew: false)])
  }

  @Test("a kernel that was started again gets the last library that was live, and nothing that was refused")
  func kernelRestarted() {
    var machine = loading()
    _ = machine.handle(.receipt(.done), now: 11)
    _ = machine.handle(.answered, now: 11.1)
    _ = machine.handle(.saved(at: 12, written: 12), now: 12)
    _ = machine.handle(.time, now: 13)
    _ = machine.handle(.built(library: "/bad", seconds: 1), now: 14)
    _ = machine.handle(.receipt(.refused), now: 15)
    #expect(machine.handle(.disconnected, now: 16) == [])
    #expect(machine.handle(.connected, now: 17) == [.load(library: "/l")])
    #expect(machine.handle(.receipt(.done), now: 18) == [.ask])
    #expect(machine.handle(.answered, now: 19) == [.tellReturn])
  }

  @Test("a save while the kernel switches is built, also when the kernel goes before it has switched")
  func goneWhileLoading() {
    var machine = loading()
    _ = machine.handle(.saved(at: 11, written: 11), now: 11)
    #expect(machine.handle(.disconnected, now: 12) == [])
    #expect(machine.handle(.time, now: 12) == [.build(anew: false)] && machine.savedAt == 11)
  }

  @Test(
    "a save while the kernel switches is built after the receipt, whatever that says",
    arguments: [DevMachine.Event.receipt(.done), .refused])
  func duringLoad(end: DevMachine.Event) {
    var machine = loading()
    #expect(machine.handle(.saved(at: 11, written: 11), now: 11) == [])
    #expect(machine.handle(end, now: 11.1) == [])
    #expect(machine.handle(.time, now: 11.1) == [.build(anew: false)] && machine.savedAt == 11)
  }

  @Test("what does not build or is refused rests until the next save")
  func failures() {
    var machine = machine
    _ = machine.handle(.saved(at: 1, written: 1), now: 1)
    _ = machine.handle(.time, now: 2)
    #expect(machine.handle(.failed, now: 2) == [] && machine.phase == .resting)
    machine = loading()
    #expect(machine.handle(.receipt(.refused), now: 11) == [] && machine.phase == .resting)
  }

  @Test("without a kernel it builds, and loads when the kernel is back, also what was on its way")
  func kernelGone() {
    var machine = loading()
    #expect(machine.handle(.disconnected, now: 11) == [])
    #expect(machine.handle(.connected, now: 12) == [.load(library: "/l")])
    _ = machine.handle(.disconnected, now: 13)
    #expect(machine.handle(.saved(at: 14, written: 14), now: 14) == [])
    #expect(machine.handle(.time, now: 15) == [.build(anew: false)])
    #expect(machine.handle(.built(library: "/m", seconds: 1), now: 16) == [])
    #expect(machine.handle(.connected, now: 17) == [.load(library: "/m")])
  }
}

import CPlatform
import Glibc
import System

/// Something with a descriptor that the loop watches.
protocol EventSource: AnyObject {
  /// `events` is a set of EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR.
  func ready(_ events: UInt32)
}

/// One thread's epoll: descriptors, timers, and jobs from other threads.
///
/// Everything that it calls runs on the thread that called `run`, and so needs no locks.
final class EventLoop {
  private let epoll: Int32
  /// The index is half of epoll's tag, the serial the other half: an event for a source that has just
  /// gone away does not reach the one that took its place.
  private var sources: [(serial: UInt32, source: (any EventSource)?)] = []
  private var free: [Int] = []
  private var timers = Timers<() -> Void>()
  private var stopping = false
  private let events: UnsafeMutablePointer<epoll_event>
  private let capacity: Int32 = 256

  init() {
    epoll = bat_epoll_create()
    precondition(epoll >= 0, "epoll_create1: \(String(cString: strerror(errno)))")
    events = .allocate(capacity: Int(capacity))
  }

  deinit {
    close(epoll)
    events.deallocate()
  }

  /// Watches a descriptor until `remove`. The tag names it in `change` and `remove`.
  ///
  /// - Throws: the system watches no more, or it is no descriptor.
  func add(_ descriptor: Int32, _ interest: UInt32, _ source: any EventSource) throws(Errno) -> UInt64 {
    let index: Int
    if let last = free.popLast() {
      index = last
    } else {
      index = sources.count
      sources.append((0, nil))
    }
    sources[index].serial &+= 1
    sources[index].source = source
    let tag = UInt64(sources[index].serial) << 32 | UInt64(index)
    guard bat_epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, interest, tag) == 0 else {
      let error = Errno(number: bat_errno())
      sources[index].source = nil
      free.append(index)
      throw error
    }
    bat_own(descriptor, 1)
    return tag
  }

  func change(_ descriptor: Int32, _ interest: UInt32, tag: UInt64) {
    _ = bat_epoll_ctl(epoll, EPOLL_CTL_MOD, descriptor, interest, tag)
  }

  /// Before the descriptor is closed.
  func remove(_ descriptor: Int32, tag: UInt64) {
    _ = bat_epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, 0, tag)
    bat_own(descriptor, 0)
    let index = Int(tag & 0xffff_ffff)
    sources[index].source = nil
    free.append(index)
  }

  /// Runs the action on this thread, not earlier than in so many milliseconds.
  @discardableResult
  func after(milliseconds: Int, _ action: @escaping () -> Void) -> UInt64 {
    timers.add(at: MachineClock.now() + UInt64(max(0, milliseconds)) * 1_000_000, action)
  }

  func cancel(timer: UInt64) { timers.cancel(timer) }

  /// Called after each event, and after timers: what other threads want does not wait for the rest of a long batch.
  var betweenEvents: () -> Void = {}

  /// Serves until `stop`.
  ///
  /// - Throws: the epoll descriptor does not work any more: somebody in this process has closed it.
  func run() throws(Errno) {
    while !stopping {
      var timeout: Int32 = -1
      if let next = timers.next {
        let now = MachineClock.now()
        timeout = next <= now ? 0 : Int32(clamping: (next - now + 999_999) / 1_000_000)
      }
      let n = epoll_wait(epoll, events, capacity, timeout)
      if n < 0, bat_errno() != EINTR { throw Errno(number: bat_errno()) }
      var i = 0
      while i < n {
        let tag = bat_event_tag(events + i)
        let slot = sources[Int(tag & 0xffff_ffff)]
        if slot.serial == UInt32(tag >> 32), let source = slot.source { source.ready(events[i].events) }
        betweenEvents()
        i += 1
      }
      var isTimeUp = false
      while let action = timers.popDue(now: MachineClock.now()) {
        action()
        isTimeUp = true
      }
      if isTimeUp { betweenEvents() }
    }
  }

  /// Event loop only: `run` returns after the events at hand.
  func stop() { stopping = true }
}

import Glibc

/// Standard input, output and error of this process.
public enum StandardDescriptors {
  /// Opens /dev/null in the place of those that are closed, as after `program <&- >&-`.
  ///
  /// To be called before anything else opens a file: that would get one of these numbers, and be read from or written to as if it were
  /// the user's.
  public static func openClosed() {
    for descriptor: Int32 in 0...2 where fcntl(descriptor, F_GETFD) < 0 {
      // The lowest number that is free is this one.
      _ = open("/dev/null", descriptor == 0 ? O_RDONLY : O_WRONLY)
    }
  }
}

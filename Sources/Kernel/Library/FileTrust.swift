import Glibc

/// Whether others could put another file in the place of one that runs with the kernel's rights, or that says what runs.
///
/// The rules are sshd's for a user's keys: the file, each link on the way to it, and each folder from the root on belong to the user or to
/// root, and nobody else may write to them. In a folder that is sticky, as /tmp is, only owners may replace what is theirs. Whoever could
/// replace the kernel's own program is trusted with the rest, too: the folders above it, and their owners.
public enum FileTrust {
  /// Why a file that says what runs may not be used by this process; nil: it may. What is missing is somebody else's complaint.
  public static func refusal(ofFile path: String) -> String? {
    var status = stat()
    // A pipe, as of `--config /dev/stdin`, is what whoever calls has given it.
    guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
    if !program.isTrusted(status.st_uid, by: geteuid()) { return "belongs to user \(status.st_uid): chown it, or copy it" }
    return openness(of: status) ?? refusal(of: path, user: geteuid())
  }

  /// Why what lies at this path may not be used with the rights of `user`, by the links and folders on the way; nil: it may.
  static func refusal(of path: String, user: uid_t) -> String? {
    let trail = LinkTrail(of: path)
    for link in trail.links {
      var status = stat()
      guard lstat(link.path, &status) == 0, !program.isTrusted(status.st_uid, by: user) else { continue }
      return "is reached by the link \(link.path), which belongs to user \(status.st_uid): replace the link by one of your own"
    }
    let above = Set((trail.links + [trail.end]).flatMap { folders(above: $0.folder) }).subtracting(program.folders)
    for folder in above.sorted() {
      var status = stat()
      guard lstat(folder, &status) == 0, let why = refusal(ofFolder: status, user: user) else { continue }
      return "lies in \(folder), which \(why)"
    }
    return nil
  }

  /// Why whoever may write to a folder of this status could change what lies in it; nil: nobody else may.
  static func refusal(ofFolder status: stat, user: uid_t) -> String? {
    if !program.isTrusted(status.st_uid, by: user) {
      return "belongs to user \(status.st_uid), not to this kernel's user \(user) or to root"
    }
    return status.st_mode & S_ISVTX != 0 ? nil : openness(of: status)
  }

  private static func openness(of status: stat) -> String? {
    func writable(by who: String) -> String {
      status.st_mode & S_IFMT == S_IFDIR ? "\(who) can write to" : "can be written by \(who)"
    }
    if status.st_mode & S_IWOTH != 0 { return writable(by: "everybody") + ": chmod o-w it" }
    // Where every user has a group with the same number, a umask of 002 is usual, and that group has no other members.
    guard status.st_mode & S_IWGRP != 0, status.st_gid != status.st_uid else { return nil }
    return writable(by: "its group") + ": chmod g-w it"
  }

  /// The folder and those above it.
  private static func folders(above folder: String) -> [String] {
    var folders = ["/"]
    for part in folder.split(separator: "/") { folders.append(LibraryWatcher.join(folders[folders.count - 1], String(part))) }
    return folders
  }

  /// Where the program of this process lies.
  private struct Program {
    let folders: Set<String>
    private let owners: Set<uid_t>

    init() {
      let file = LinkTrail(of: "/proc/self/exe").end
      folders = Set(FileTrust.folders(above: file.folder))
      owners = Set(
        (folders + [file.path]).compactMap { path in
          var status = stat()
          return lstat(path, &status) == 0 ? status.st_uid : nil
        })
    }

    func isTrusted(_ owner: uid_t, by user: uid_t) -> Bool { owner == user || owner == 0 || owners.contains(owner) }
  }
  private static let program = Program()
}

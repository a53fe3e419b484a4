import Glibc

/// Whether others could put another file in the place of one that runs with the kernel's rights.
///
/// The rules are sshd's for a user's keys: the file, each link on the way to it, and each folder from the root on belong to the user or to
/// root, and nobody else may write to them. In a folder that is sticky, as /tmp is, only owners may replace what is theirs.
public enum FileTrust {
  /// The same for a file and its own status, with the rights of this process's user.
  public static func refusal(ofFile path: String) -> String? {
    var status = stat()
    // A pipe, as of `--config /dev/stdin`, is what whoever calls has given it.
    guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
    return LibraryFile.refusal(of: status, user: geteuid()) ?? refusal(of: path, user: geteuid())
  }

  /// Why the file of this path may not be used with the rights of `user`; nil: it may. What is missing is somebody else's complaint.
  static func refusal(of path: String, user: uid_t) -> String? {
    let trail = LinkTrail(of: path)
    for link in trail.links {
      var status = stat()
      guard lstat(link.path, &status) == 0 else { continue }
      if !isOwn(status.st_uid, user) {
        return "is reached by the link \(link.path), which belongs to user \(status.st_uid): replace the link by one of your own"
      }
    }
    for folder in Set((trail.links + [trail.end]).flatMap { folders(above: $0.folder) }).sorted() {
      var status = stat()
      guard lstat(folder, &status) == 0, let why = refusal(ofFolder: status, user: user) else { continue }
      return "lies in \(folder), which \(why)"
    }
    return nil
  }

  /// Why whoever may write to a folder of this status could change what lies in it; nil: nobody else may.
  static func refusal(ofFolder status: stat, user: uid_t) -> String? {
    if !isOwn(status.st_uid, user) { return "belongs to user \(status.st_uid), not to this kernel's user \(user) or to root" }
    if status.st_mode & S_ISVTX != 0 { return nil }
    if status.st_mode & S_IWOTH != 0 { return "everybody can write to: chmod o-w it" }
    // As with files: a group of one's own has no other members.
    if status.st_mode & S_IWGRP != 0, status.st_gid != status.st_uid { return "its group can write to: chmod g-w it" }
    return nil
  }

  private static func isOwn(_ owner: uid_t, _ user: uid_t) -> Bool { owner == user || owner == 0 }

  /// The folder and those above it.
  private static func folders(above folder: String) -> [String] {
    var folders = ["/"]
    for part in folder.split(separator: "/") { folders.append(LibraryWatcher.join(folders[folders.count - 1], String(part))) }
    return folders
  }
}

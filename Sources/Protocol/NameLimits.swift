/// How long names may be that are no participants' (see `Name`), in bytes. Whoever takes one from outside checks it where it enters.
public enum NameLimits {
  /// Of a method, a topic, a thread, an id, a trace, and of a target as it is written.
  public static let word = 256
  /// Of a key of `state/1`.
  public static let key = 4096
  /// How many topics one participant may be subscribed to.
  public static let topics = 1024

  /// Why a thread cannot have this name; nil: it can.
  public static func refusal(ofThread name: String) -> String? {
    name.utf8.count <= word ? nil : "the name of a thread has at most \(word) bytes, and this one has \(name.utf8.count)"
  }
}

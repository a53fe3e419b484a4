/// The versions of one persona that have run since the kernel began. Event loop only.
struct Lineage {
  /// What a rollback goes back along, oldest first; the last is the current one's.
  private var libraries: [LoadedLibrary] = []
  /// All that have lived here, oldest first: their code stays in memory.
  private(set) var generations: [(number: Int, library: LoadedLibrary)] = []
  /// The number that was given last; a candidate that was refused has used up its own.
  private(set) var lastNumber = 0

  mutating func nextNumber() -> Int {
    lastNumber += 1
    return lastNumber
  }

  /// Of so many generations the copies of their files are kept, to tell where one has crashed.
  static let keptCopies = 20

  /// Returns the copy that is not needed any more, if there is one.
  mutating func tookOver(_ number: Int, _ library: LoadedLibrary, isRollback: Bool) -> String? {
    generations.append((number, library))
    if isRollback, !libraries.isEmpty { libraries.removeLast() } else { libraries.append(library) }
    let old = generations.dropLast(Self.keptCopies).last?.library.image.path
    let needed = Set((generations.suffix(Self.keptCopies).map(\.library) + libraries.suffix(2)).map(\.image.path))
    return old.flatMap { needed.contains($0) ? nil : $0 }
  }

  /// The version that ran last, also while nothing runs.
  var last: LoadedLibrary? { libraries.last }
  /// What a rollback brings back.
  var previous: LoadedLibrary? { libraries.dropLast().last }
}

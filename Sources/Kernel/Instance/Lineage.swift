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

  mutating func tookOver(_ number: Int, _ library: LoadedLibrary, isRollback: Bool) {
    generations.append((number, library))
    if isRollback, !libraries.isEmpty { libraries.removeLast() } else { libraries.append(library) }
  }

  /// The version that ran last, also while nothing runs.
  var last: LoadedLibrary? { libraries.last }
  /// What a rollback brings back.
  var previous: LoadedLibrary? { libraries.dropLast().last }
}

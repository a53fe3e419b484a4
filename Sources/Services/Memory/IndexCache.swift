import Glibc

/// The indexes of vectors that are in use, by the number of their collection. For the store's thread.
///
/// An index only follows the database: one that is missing, damaged, cut off or behind is made again from it.
final class IndexCache {
  private let folder: String
  private let limits: MemoryLimits
  private let log: @Sendable (String) -> Void
  private let counters: StoreCounters
  private var indexes: [Int64: VectorIndex] = [:]
  /// The number drawn when the database was made; set when it is opened.
  var storeNumber: Int64 = 0

  init(folder: String, limits: MemoryLimits, log: @escaping @Sendable (String) -> Void, counters: StoreCounters) {
    self.folder = folder
    self.limits = limits
    self.log = log
    self.counters = counters
  }

  private func path(_ number: Int64) -> String { folder + "/vectors-\(number).index" }

  /// The index of a collection's vectors, right for its present version; nil without vectors.
  func index(of entry: Catalog.Entry, _ database: SQLiteDatabase) throws(MemoryError) -> VectorIndex? {
    guard let dimension = entry.collection.dimension, entry.collection.vectors > 0 else { return nil }
    guard (1...limits.dimension).contains(dimension) else {
      throw MemoryError(
        .damaged,
        "\(database.path) says that the vectors of \(entry.collection.fullName) have \(dimension) components: have all made anew (\"reembed\" with an \"embedder\")"
      )
    }
    let known = indexes.removeValue(forKey: entry.number)
    if let known, known.file.isWhole, known.file.version == entry.version, known.file.dimension == dimension {
      indexes[entry.number] = known
      return known
    }
    let file = try VectorFile(path(entry.number), store: storeNumber, collection: entry.number, dimension: dimension)
    let index = VectorIndex(file)
    if file.version != entry.version || file.live != entry.collection.vectors {
      if file.version != 0 || known != nil {
        log("the index of the vectors of \(entry.collection.fullName) is behind or damaged, and is made again")
        counters.change { $0.repairs += 1 }
      }
      try make(index, of: entry, database)
    }
    indexes[entry.number] = index
    return index
  }

  private func make(_ index: VectorIndex, of entry: Catalog.Entry, _ database: SQLiteDatabase) throws(MemoryError) {
    try index.file.begin(store: storeNumber, collection: entry.number)
    var damaged = 0
    try database.each("SELECT seq, vector FROM vectors_\(entry.number) ORDER BY seq") { (row) throws(MemoryError) in
      try index.file.reserve(1)
      if !row.withBlob(1, { index.file.append(row.int(0), $0) }) { damaged += 1 }
      return true
    }
    if damaged > 0 {
      log(
        "\(damaged) vectors of \(entry.collection.fullName) in \(database.path) are damaged and passed over: their documents are found by words alone until all vectors are made anew (\"reembed\" with an \"embedder\")"
      )
    }
    index.file.version = entry.version
  }

  /// Does to the indexes what has been committed. One that cannot follow is made again when it is needed.
  func apply(_ changes: WriteGroup.Changes) {
    for (number, change) in changes.indexes { apply(change.list, change.version, to: number) }
    for number in changes.dropped {
      indexes[number] = nil
      unlink(path(number))
    }
  }

  private func apply(_ list: [CollectionWriter.IndexChange], _ version: Int64, to number: Int64) {
    guard let file = indexes[number]?.file else { return }
    guard file.isWhole else { return indexes[number] = nil }
    do throws(MemoryError) {
      for change in list {
        switch change {
        case .remove(let seq): file.remove(seq)
        case .append(let seq, let vector):
          try file.reserve(1)
          guard vector.withUnsafeBytes({ file.append(seq, $0) }) else {
            throw MemoryError(.damaged, "it does not take the vector of document \(seq)")
          }
        }
      }
      file.version = version
      // Slots that nobody uses cost time in every search.
      if file.removed > 1024, file.removed > file.live {
        indexes[number] = nil
        file.version = 0
      }
    } catch {
      log("the index of the vectors of collection \(number) could not follow, and will be made again: \(error.message)")
      indexes[number] = nil
      file.version = -1
    }
  }
}

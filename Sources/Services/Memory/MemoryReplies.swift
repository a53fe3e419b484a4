// The store's replies as JSON.

import Wire

extension StoreRequest where Reply == MemoryCollection {
  var asJSON: StoreRequest<JSON> { map { ["collection": $0.json] } }
}

extension StoreRequest where Reply == Int {
  var asJSON: StoreRequest<JSON> { map { ["count": .int($0)] } }
}

extension StoreRequest where Reply == [StoredDocument] {
  var asJSON: StoreRequest<JSON> { map { ["documents": .array($0.map(\.json))] } }
}

extension StoreRequest where Reply == SourcePage {
  var asJSON: StoreRequest<JSON> { map { ["sources": .array($0.sources.map(\.json)), "next": $0.next.map(JSON.string) ?? .null] } }
}

extension StoreRequest where Reply == ExportPage {
  var asJSON: StoreRequest<JSON> {
    map { ["lines": .string(String(decoding: $0.lines, as: UTF8.self)), "next": $0.next.map { .int(Int($0)) } ?? .null] }
  }
}

extension StoredSource {
  var json: JSON { ["source": .string(source), "hash": hash.map(JSON.string) ?? .null, "changed": .int(Int(changed))] }
}

extension MemoryCollection {
  /// Those behind the one that is called `after`, as many as have about `size` bytes.
  ///
  /// - Parameter all: by owner and name.
  static func page(_ all: [MemoryCollection], after: String?, size: Int) -> JSON {
    func isBehind(_ collection: MemoryCollection) -> Bool {
      guard let after else { return true }
      let parts = after.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
      let own = [Array(collection.owner.utf8), Array(collection.name.utf8)]
      let other = [Array(parts[0].utf8), parts.count > 1 ? Array(parts[1].utf8) : []]
      return own[0] == other[0] ? other[1].lexicographicallyPrecedes(own[1]) : other[0].lexicographicallyPrecedes(own[0])
    }
    var page: [JSON] = []
    var bytes = 0
    var last: String?
    for collection in all where isBehind(collection) {
      if bytes > size { return ["collections": .array(page), "next": last.map(JSON.string) ?? .null] }
      page.append(collection.json)
      bytes += collection.json.bytes.count
      last = collection.fullName
    }
    return ["collections": .array(page), "next": .null]
  }

  var json: JSON {
    func circle(_ circle: Rights.Circle) -> JSON {
      switch circle {
      case .everyone: "everyone"
      case .these(let names): .array(names.sorted().map(JSON.string))
      }
    }
    return [
      "name": .string(name), "owner": .string(owner), "readers": circle(rights.readers), "writers": circle(rights.writers),
      "embedder": embedder.map(JSON.string) ?? .null, "model": model.map(JSON.string) ?? .null,
      "dimension": dimension.map(JSON.int) ?? .null,
      "documents": .int(documents), "vectors": .int(vectors), "created": .int(Int(created)),
    ]
  }
}

extension Hit {
  func json(in collection: MemoryCollection) -> JSON {
    var members = document.json.object ?? [:]
    members["collection"] = .string(collection.fullName)
    members["score"] = .double(score)
    members["similarity"] = similarity.map(JSON.double)
    members["words"] = wordScore.map(JSON.double)
    return .object(members)
  }

  /// What a reply says of where the passage is from.
  func citation(in collection: MemoryCollection) -> JSON {
    var members: [String: JSON] = [
      "collection": .string(collection.fullName), "id": .string(document.id), "score": .double((score * 10_000).rounded() / 10_000),
    ]
    members["source"] = (document.origin.source ?? document.origin.message).map(JSON.string)
    members["place"] = document.origin.place.map(JSON.string)
    return .object(members)
  }
}

extension StoredDocument {
  /// As `get`, `query` and `export` write it.
  var json: JSON {
    var members: [String: JSON] = [
      "id": .string(id), "text": .string(text), "metadata": .object(metadata), "persona": .string(persona), "added": .int(Int(added)),
    ]
    if changed != added { members["changed"] = .int(Int(changed)) }
    members["message"] = origin.message.map(JSON.string)
    members["source"] = origin.source.map(JSON.string)
    members["place"] = origin.place.map(JSON.string)
    members["vector"] = vector.map { .array($0.map { .double(Double($0)) }) }
    return .object(members)
  }
}

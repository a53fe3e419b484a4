import Glibc

/// A file that can be taken into the memory: which kind it is, and its chunks.
struct SourceFile {
  enum Kind: Equatable { case text, markdown, html, pdf, code }

  /// From the root on, without links.
  let path: String
  let kind: Kind

  /// Larger files are data, not something to read. In bytes.
  static let longest = 32 << 20

  private static let kinds: [String: Kind] = [
    "txt": .text, "text": .text, "log": .text, "rst": .text, "org": .text, "tex": .text, "csv": .text, "tsv": .text, "md": .markdown,
    "markdown": .markdown, "mdown": .markdown, "html": .html, "htm": .html, "xhtml": .html, "pdf": .pdf, "swift": .code, "c": .code,
    "h": .code, "cc": .code, "cpp": .code, "hpp": .code, "cxx": .code, "m": .code, "mm": .code, "rs": .code, "go": .code, "py": .code,
    "rb": .code, "pl": .code, "js": .code, "mjs": .code, "ts": .code, "tsx": .code, "jsx": .code, "java": .code, "kt": .code,
    "scala": .code,
    "cs": .code, "php": .code, "lua": .code, "sh": .code, "bash": .code, "zsh": .code, "fish": .code, "sql": .code, "r": .code, "jl": .code,
    "hs": .code, "ml": .code, "ex": .code, "exs": .code, "erl": .code, "clj": .code, "el": .code, "vim": .code, "toml": .code,
    "yaml": .code,
    "yml": .code, "json": .code, "xml": .code, "ini": .code, "cfg": .code, "conf": .code, "cmake": .code, "mk": .code, "css": .code,
    "scss": .code, "proto": .code, "nix": .code, "zig": .code, "dart": .code,
  ]

  /// Folders that hold no documents of anybody: what is hidden, and what tools put there.
  static func isPassedOver(folder name: String) -> Bool {
    name.hasPrefix(".") || ["node_modules", "__pycache__", "venv", "DerivedData", "target"].contains(name)
  }

  /// By the name's ending; nil: only its content can tell.
  static func kind(of path: String) -> Kind? {
    let name = path.split(separator: "/").last ?? ""
    if ["Makefile", "Dockerfile", "Rakefile", "Gemfile"].contains(String(name)) { return .code }
    guard let dot = name.lastIndex(of: "."), dot != name.startIndex else { return nil }
    return kinds[name[name.index(after: dot)...].lowercased()]
  }

  /// Whether bytes are text in UTF-8, and not something else that happens to be a file.
  static func isText(_ bytes: [UInt8]) -> Bool {
    !bytes.prefix(8192).contains(0) && String(validating: bytes, as: UTF8.self) != nil
  }

  /// The chunks of its content. For a PDF `bytes` are what `pdftotext` wrote.
  func chunks(of bytes: [UInt8]) -> [Chunk] {
    // A mark of the byte order is no text.
    let bytes = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? Array(bytes.dropFirst(3)) : bytes
    let text = String(decoding: bytes, as: UTF8.self)
    switch kind {
    case .text: return Chunk.chunks(of: Block.plain(text))
    case .markdown: return Chunk.chunks(of: Block.markdown(text))
    case .code: return Chunk.chunks(of: Block.code(text))
    case .pdf: return Chunk.chunks(of: Block.pages(text))
    case .html:
      var blocks = Block.html(text)
      if let title = Block.htmlTitle(text), !title.isEmpty, blocks.first?.text != title {
        blocks.insert(Block(kind: .heading(level: 0), text: title), at: 0)
      }
      return Chunk.chunks(of: blocks)
    }
  }
}

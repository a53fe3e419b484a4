import Glibc
import System

/// A file that can be taken into the memory: which kind it is, and its chunks.
struct SourceFile {
  enum Kind: Equatable { case text, markdown, html, pdf, code }

  /// Absolute, without symbolic links.
  let path: String
  let kind: Kind

  /// The largest file that is read, in bytes.
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

  /// Whether a folder is skipped: hidden ones, and those in which tools keep their files.
  static func isPassedOver(folder name: String) -> Bool {
    name.hasPrefix(".") || ["node_modules", "__pycache__", "venv", "DerivedData", "target"].contains(name)
  }

  /// The kind that the end of a name tells; nil if only the content can tell.
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

  /// Why a file is left out, in words for people.
  struct Refused: Error, Equatable { let why: String }

  /// The chunks of its content. For a PDF `bytes` are what `pdftotext` wrote.
  func chunks(of bytes: [UInt8]) throws(Refused) -> [Chunk] {
    // A byte order mark is not text.
    let bytes = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? Array(bytes.dropFirst(3)) : bytes
    return Chunk.chunks(of: try blocks(of: String(decoding: bytes, as: UTF8.self)))
  }

  private func blocks(of text: String) throws(Refused) -> [Block] {
    switch kind {
    case .text: return Block.plain(text)
    case .code: return Block.code(text)
    case .pdf: return Block.pages(text)
    case .markdown:
      do throws(Markdown.Failed) { return try MarkdownBlocks.blocks(of: text) } catch {
        throw Refused(why: "there is not enough memory to read it")
      }
    case .html:
      let page: HTMLBlocks
      do throws(HTML.Failed) { page = try HTMLBlocks(text) } catch {
        switch error {
        case .tooDeep: throw Refused(why: "its elements are nested more than \(HTML.deepest) deep")
        case .tooLong, .outOfMemory: throw Refused(why: "there is not enough memory to read it")
        }
      }
      guard let title = page.title, !title.isEmpty, page.blocks.first?.text != title else { return page.blocks }
      return [Block(kind: .heading(level: 0), text: title)] + page.blocks
    }
  }

  /// The whole of a regular file, which is no longer than the limit.
  static func read(_ path: String) throws(Refused) -> [UInt8] {
    // O_NONBLOCK: opening a pipe would wait for its writer.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw Refused(why: "it cannot be opened: \(Errno(number: errno))") }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw Refused(why: "it cannot be examined: \(Errno(number: errno))") }
    guard status.st_mode & S_IFMT == S_IFREG else { throw Refused(why: SourceTree.irregular) }
    func tooLong(_ count: Int) -> Refused { Refused(why: "it has \(count >> 20) MiB, and \(longest >> 20) are the limit") }
    if status.st_size > longest { throw tooLong(Int(status.st_size)) }
    var bytes: [UInt8] = []
    while true {
      let count = readMore(from: descriptor, into: &bytes)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw Refused(why: "it cannot be read: \(Errno(number: errno))") }
      if count == 0 { return bytes }
      // It may grow while it is read.
      if bytes.count > longest { throw tooLong(bytes.count) }
    }
  }
}

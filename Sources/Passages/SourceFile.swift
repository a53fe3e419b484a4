import Glibc
import System

/// A file that can be taken into the memory: which kind it is, its bytes, and its passages.
package struct SourceFile {
  package enum Kind: Equatable, Sendable { case text, markdown, html, pdf, code }

  let kind: Kind

  /// The largest file that is read, in bytes.
  package static let longest = 32 << 20
  /// So many passages may come of it: three times as many as of the largest file with usual text.
  package static let mostPassages = 100_000

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
  static func isPassedOver(folder name: [UInt8]) -> Bool {
    let name = String(decoding: name, as: UTF8.self)
    return name.hasPrefix(".") || ["node_modules", "__pycache__", "venv", "DerivedData", "target"].contains(name)
  }

  /// The kind that the end of a name tells; nil if only the content can tell.
  package static func kind(of path: FilePath) -> Kind? {
    let name = String(decoding: path.name, as: UTF8.self)
    if ["Makefile", "Dockerfile", "Rakefile", "Gemfile"].contains(name) { return .code }
    guard let dot = name.lastIndex(of: "."), dot != name.startIndex else { return nil }
    return kinds[name[name.index(after: dot)...].lowercased()]
  }

  /// Why a file is left out, in words for people.
  package struct Refused: Error, Equatable {
    package let why: String
    /// It was read, and there is no text in it: what the memory has of it is out of date.
    package var isWithoutText = false
    package init(why: String) { self.why = why }

    static func withoutText(_ why: String) -> Refused {
      var refused = Refused(why: why)
      refused.isWithoutText = true
      return refused
    }
  }

  /// What a file says.
  package struct Content {
    package var passages: [Chunk]
    /// Its encoding, if that had to be guessed.
    package var guessed: String?
  }

  package init(_ kind: Kind) { self.kind = kind }

  /// Its passages.
  ///
  /// - Parameters:
  ///   - bytes: all of the file. Of a PDF, `pdftotext` is asked for the text.
  ///   - encoding: of a file that does not say in which it is, and is not in UTF-8.
  package func content(of bytes: [UInt8], encoding: String? = nil) throws(Refused) -> Content {
    let isPDF = kind == .pdf
    let encoded = try TextEncoding(isPDF ? try PDFText.read(bytes) : bytes, kind, assumed: encoding)
    let passages = Chunk.chunks(of: try blocks(of: encoded.text))
    if passages.isEmpty, isPDF {
      throw .withoutText("there is no text in it, probably pictures of pages: have them read (`ocrmypdf IN OUT`), and ingest the result")
    }
    if passages.isEmpty, kind == .html, !bytes.isEmpty { throw .withoutText("there is no text in it that a reader would see") }
    if passages.count > Self.mostPassages {
      throw Refused(why: "it would be \(passages.count) passages, and \(Self.mostPassages) are the limit: divide it")
    }
    return Content(passages: passages, guessed: encoded.guessed)
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
        case .tooDeep: throw Refused(why: "its elements are nested too deep")
        case .tooLong, .outOfMemory: throw Refused(why: "there is not enough memory to read it")
        }
      }
      guard let title = page.title, !title.isEmpty, page.blocks.first?.text != title else { return page.blocks }
      return [Block(kind: .heading(level: 0), text: title)] + page.blocks
    }
  }

  /// The whole of a regular file, which is no longer than the limit.
  package static func read(_ path: FilePath) throws(Refused) -> [UInt8] {
    // O_NONBLOCK: opening a pipe would wait for its writer.
    let descriptor = path.withCString { open($0, O_RDONLY | O_CLOEXEC | O_NONBLOCK) }
    guard descriptor >= 0 else { throw Refused(why: "it cannot be opened: \(Errno.last)") }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw Refused(why: "it cannot be examined: \(Errno.last)") }
    guard status.st_mode & S_IFMT == S_IFREG else { throw Refused(why: SourceTree.irregular) }
    func tooLong(_ count: Int) -> Refused { Refused(why: "it has \(count >> 20) MiB, and \(longest >> 20) are the limit") }
    if status.st_size > longest { throw tooLong(Int(status.st_size)) }
    var bytes: [UInt8] = []
    while true {
      let count = readMore(from: descriptor, into: &bytes)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw Refused(why: "it cannot be read: \(Errno.last)") }
      if count == 0 { return bytes }
      // It may grow while it is read.
      if bytes.count > longest { throw tooLong(bytes.count) }
    }
  }

  // MARK: Whether it was touched

  /// By which a file is told that nobody has written to since it was looked at.
  package struct Stamp: Equatable {
    private let device, inode, size: UInt64
    private let changed: [Int]

    /// Nil if it cannot be looked at.
    package init?(_ path: FilePath) {
      var status = stat()
      guard path.withCString({ lstat($0, &status) }) == 0 else { return nil }
      device = UInt64(status.st_dev)
      inode = UInt64(status.st_ino)
      size = UInt64(clamping: status.st_size)
      changed = [status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_ctim.tv_sec, status.st_ctim.tv_nsec]
    }

    /// Whether the last change is so long ago that another one would have another time.
    package var isOld: Bool { time(nil) - max(changed[0], changed[2]) > 2 }
  }
}

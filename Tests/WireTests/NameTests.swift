import Testing

@testable import Wire

@Suite("Names") struct NameTests {
  @Test(
    "people can be called as they write it",
    arguments: ["GUI", "client-3f2a-1", "Selina Kyle", "é", "猫", "Ünal", "Ελένη", "Мария", "नमस्ते", "root", "user", "a.b@c", "🦇", "Q'onos"])
  func names(name: String) { #expect(Name.problem(name.utf8) == nil, "\(Name.problem(name.utf8) ?? "")") }

  @Test(
    "a name that looks like another, like none, or means somebody else is refused",
    arguments: [
      ("", "at least one"), (String(repeating: "n", count: 65), "64 bytes"), ("a\u{7}", "control"), ("a\u{7F}", "control"),
      ("a\u{9B}b", "control"), ("\u{85}", "control"), ("a\u{202E}b", "control"), ("a\u{2066}b", "control"), ("a\u{200E}b", "control"),
      ("a\u{2028}b", "control"), ("a\u{E0041}b", "control"), ("a\"b", "quotes"), ("a\\b", "quotes"), ("KERNEL ", "blanks"),
      (" KERNEL", "blanks"), ("a  b", "blanks"), ("KERNEL\u{A0}", "invisible"), ("\u{3000}A", "invisible"), ("\u{200B}", "invisible"),
      ("BR\u{200D}ICK", "invisible"), ("A\u{AD}", "invisible"), ("A\u{FEFF}", "invisible"), ("\u{2800}", "invisible"),
      ("\u{3164}", "invisible"), ("A\u{FE0F}", "invisible"), ("\u{E000}", "invisible"), ("\u{FFFD}", "invisible"), ("e\u{301}", "plain"),
      ("ＫＥＲＮＥＬ", "plain"), ("𝐊ERNEL", "plain"), ("\u{212A}ERNEL", "plain"), ("ⒷRICK", "plain"), ("ᴋᴇʀɴᴇʟ", "plain"), ("ВRICK", "alphabet"),
      ("KΕRNEL", "alphabet"),
      ("KERNEL", "not free"), ("kernel", "not free"), ("*", "not free"), ("#a", "not free"), ("{a", "not free"), ("USER", "not free"),
      ("All", "not free"), ("everyone", "not free"), ("nobody", "not free"),
    ])
  func refused(name: String, why: String) {
    let problem = Name.problem(name.utf8)
    #expect(problem?.contains(why) == true, "\(problem ?? "it was taken")")
  }

  @Test("bytes that are no UTF-8 are no name") func bytes() { #expect(Name.problem([0x47, 0xFF]) != nil) }

  @Test("a persona has no name that means something else, whatever its capitals")
  func personas() {
    for name in ["KERNEL", "Kernel", "USER", "User", "all", "everyone", "nobody", "assistant", "memory", "bus"] {
      #expect(Name.otherMeaning(name) != nil, "\(name)")
    }
    for name in ["BRICK", "NOBODY", "Memory", "USERS", "ALLY"] { #expect(Name.otherMeaning(name) == nil, "\(name)") }
  }

  @Test("who cannot choose gets a name like the one that the system has")
  func like() {
    #expect(Name.like("selina") == "selina")
    #expect(Name.like("CORP\\Selina Kyle") == "CORP-Selina-Kyle")
    #expect(Name.like("kernel") == nil && Name.like("\u{200B}\"") == nil)
    #expect(Name.like(String(repeating: "x", count: 100))?.utf8.count == 48)
  }
}

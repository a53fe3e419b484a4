"""Texts in many scripts, and the tokens and vectors that the Python package wordllama makes of them.

usage: reference.py COUNT            the first COUNT texts, as JSON with whole vectors, on standard output
       reference.py COUNT --fixture  the same with the first 8 numbers of each vector: how wordllama.json was made
       reference.py COUNT --speed    texts a second of CPU time, made of COUNT short ones

The texts are the same in every run.
"""
import json, os, random, sys

SENTENCES = [
    "The quick brown fox jumps over the lazy dog.", "Where does the kernel keep what must outlive a persona's code?",
    "Wie viele Schichten hat eine Zwiebel?", "Größe, Übermut und Straße: äöüß ÄÖÜ", "Der Fährmann fährt über den Fluß, während es regnet.",
    "今天天气很好，我们去公园散步吧。", "吾輩は猫である。名前はまだ無い。", "カタカナとひらがなと漢字を混ぜる。", "مرحبا بالعالم، كيف حالك اليوم؟", "اَلْعَرَبِيَّةُ",
    "नमस्ते दुनिया, आप कैसे हैं?", "क्षत्रिय ज्ञान श्रृंखला", "Привет, мир! Как дела?", "Γειά σου Κόσμε, τι κάνεις;", "한국어 텍스트도 있습니다.", "עברית טקסט", "ไทยไม่มีช่องว่าง",
    "👩‍👩‍👧‍👦 family 🏳️‍🌈 flags 🇩🇪🇫🇷 and 😀👍🏽", "func f<T: P>(_ x: T) async throws -> [String: Int] { x?.y ?? 0 }",
    "SELECT * FROM t WHERE a >= 1.5e-3 AND b != 'x''y';", "for (int i = 0; i < n; ++i) {\n\t\ta[i] |= ~b[i] & 0xFFu;\n}", "http://example.com/a/b?c=d&e=%20f#g",
    "e\u0301 and é, a\u0308\u0323 and ạ̈: combining marks", "Z̴̢̛a̵͎l̸̰g̷̱o̶͓", "\u200bzero\u200dwidth\ufeff", "\u2028line\u2029para\u00a0nbsp\u3000wide\u2003em",
    "\t tabs\tand\n\nnew lines \r\n at the end ", "    indented    ", "▁ already there ▁▁", "<s> not special </s> <unk> <0x41> <s", "ﷺ ﬁ ligature ㎏ ½ Ⅷ",
    "I'm can't won't it's — “quoted” … 100% €5 £6 ¥7", "1234567890 3.14159 1,000,000 ١٢٣ १२३", "ALL CAPS, MixedCase, snake_case, kebab-case", "𝕳𝖊𝖑𝖑𝖔 𝓌𝑜𝓇𝓁𝒹 𐍈 🀄",
    "", " ", "  ", "\n", "\x00", "\x00\x01\x02\x1b[0m\x7f\x80\x9f control", "a\x00b", "\ue000 private \U0010ffff last",
    "Donaudampfschifffahrtsgesellschaftskapitän" * 5, "ab" * 200, "a" * 300, "哈" * 100, "🦇" * 50,
]
LONG = ["a" * 20_000, "the kernel " * 2_000, "Wörter" * 3_000, "長" * 5_000]


def scalar(choose):
    return chr(choose.choice([choose.randint(0, 127), choose.randint(0x80, 0x2fff), choose.randint(0x3000, 0xd7ff),
                              choose.randint(0xe000, 0xffff), choose.randint(0x1f300, 0x1faff), choose.randint(0x10000, 0x10ffff)]))


def texts(count):
    choose = random.Random(7)
    words = [word for sentence in SENTENCES for word in sentence.split(" ")]
    letters = "".join(SENTENCES)
    made = list(SENTENCES)
    if count > 100:
        made += LONG
    while len(made) < count:
        kind = choose.random()
        if kind < 0.5:
            made.append(" ".join(choose.choice(words) for _ in range(choose.randint(1, 30))))
        elif kind < 0.7:
            made.append("".join(choose.choice(letters) for _ in range(choose.randint(1, 80))))
        elif kind < 0.85:
            made.append("".join(scalar(choose) for _ in range(choose.randint(1, 40))))
        else:
            made.append(choose.choice(["", " ", "\n", "\t "]).join(choose.choice(SENTENCES) for _ in range(choose.randint(2, 4))))
    return made[:count]


def main():
    count, options = int(sys.argv[1]), sys.argv[2:]
    import logging
    import numpy, wordllama

    logging.disable(logging.CRITICAL)
    folder = os.path.dirname(wordllama.__file__)
    model = wordllama.WordLlama.load(cache_dir=folder, disable_download=True)
    if "--speed" in options:
        import time

        short = [f"what is the number {number} of the fastest bus to the old town?" for number in range(count)]
        begin = time.process_time()
        model.embed(short, norm=True)
        print(f"{count / (time.process_time() - begin):.0f} texts a second")
        return
    chosen = texts(count)
    # A text alone: the package's own padding in batches is no part of its tokens.
    tokens = [model.tokenizer.encode(text, add_special_tokens=False).ids for text in chosen]
    with numpy.errstate(invalid="ignore"):
        vectors = [model.embed([text], norm=True)[0] for text in chosen]
    kept = 8 if "--fixture" in options else 256
    # No tokens, no vector: the package divides by zero there.
    numbers = [[float(numpy.float32(f"{number:.7g}")) for number in vector[:kept]] if ids else [] for vector, ids in zip(vectors, tokens)]
    entries = [{"text": text, "tokens": ids, "vector": vector} for text, ids, vector in zip(chosen, tokens, numbers)]
    result = {"version": wordllama.__version__, "entries": entries}
    if "--fixture" not in options:
        result["folder"] = folder
    print(json.dumps(result))


main()

"""One of the stores that memory-benchmarks compares with, at work; prints its figures as JSON.

usage: peers.py ENGINE FOLDER    chromadb, sqlite-vec, sqlite-vec-vectors, numpy; FOLDER has the workload
"""
import json, os, sqlite3, sys, time

engine, folder = sys.argv[1:]
for name in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"]:
    os.environ[name] = "1"
import numpy as np

work = json.load(open(folder + "/workload.json"))
count, dimension, batch, limit = work["count"], work["dimension"], work["batch"], work["limit"]
vectors = np.memmap(folder + "/vectors.f32", dtype=np.float32, mode="r", shape=(count, dimension))
queries = np.fromfile(folder + "/queries.f32", dtype=np.float32).reshape(-1, dimension)
SHARES = 1_000_000
WORDS = "umbrella riddle clock harbour museum signal engine garden ledger lantern bridge".split()
place = f"{folder}/{engine}"
os.makedirs(place)


def share(n):
    return n * 611_953 % SHARES


def text(n):
    return f"note {n} on the {WORDS[n % 11]} and the {WORDS[n // 11 % 11]} of {WORDS[n // 121 % 11]}"


def chroma():
    import chromadb
    from chromadb.config import Settings
    client = chromadb.PersistentClient(place, settings=Settings(anonymized_telemetry=False))
    collection = client.create_collection("bench", metadata={"hnsw:space": "cosine"}, embedding_function=None)

    def insert(first, last, part):
        collection.add(ids=[str(n) for n in range(first, last)], embeddings=part, documents=[text(n) for n in range(first, last)],
                       metadatas=[{"share": share(n), "kind": f"k{n % 7}"} for n in range(first, last)])

    def query(vector, bound):
        where = None if bound is None else {"share": {"$lt": bound}}
        return [int(n) for n in collection.query(query_embeddings=[vector], n_results=limit, where=where)["ids"][0]]
    return insert, query, True


def sqlite_vec(whole):
    import sqlite_vec as extension
    database = sqlite3.connect(place + "/bench.sqlite")
    database.enable_load_extension(True)
    extension.load(database)
    # As durable as ours.
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    more = ", share integer, +text text, +kind text" if whole else ""
    database.execute(f"CREATE VIRTUAL TABLE bench USING vec0(vector float[{dimension}] distance_metric=cosine{more})")

    def insert(first, last, part):
        with database:
            if whole:
                database.executemany("INSERT INTO bench(rowid, vector, share, text, kind) VALUES (?, ?, ?, ?, ?)",
                                     [(n, part[n - first], share(n), text(n), f"k{n % 7}") for n in range(first, last)])
            else:
                database.executemany("INSERT INTO bench(rowid, vector) VALUES (?, ?)", [(n, part[n - first]) for n in range(first, last)])

    def query(vector, bound):
        condition, values = ("", []) if bound is None else (" AND share < ?", [bound])
        rows = database.execute(f"SELECT rowid FROM bench WHERE vector MATCH ? AND k = ?{condition}", [vector, limit] + values)
        return [row[0] for row in rows]
    return insert, query, whole


def numpy():
    matrix = np.empty((count, dimension), dtype=np.float32)
    shares = np.array([share(n) for n in range(count)])

    def insert(first, last, part):
        matrix[first:last] = part / np.linalg.norm(part, axis=1, keepdims=True)

    def query(vector, bound):
        if bound is None:
            scores, numbers = matrix @ vector, None
        else:
            numbers = np.flatnonzero(shares < bound)
            scores = matrix[numbers] @ vector
        best = np.argpartition(scores, -limit)[-limit:] if len(scores) > limit else np.arange(len(scores))
        best = best[np.argsort(-scores[best])]
        return [int(n) for n in (best if numbers is None else numbers[best])]
    return insert, query, True


insert, query, filters = {"chromadb": chroma, "sqlite-vec": lambda: sqlite_vec(True), "sqlite-vec-vectors": lambda: sqlite_vec(False),
                          "numpy": numpy}[engine]()
seconds = 0.0
for first in range(0, count, batch):
    part = np.array(vectors[first:first + batch])
    begin = time.perf_counter()
    insert(first, first + len(part), part)
    seconds += time.perf_counter() - begin

series = []
wanted = [("all", None)] + ([(f"{int(p * 100)} %", int(p * SHARES)) for p in (0.01, 0.1, 0.5)] if filters else [])
for name, bound in wanted:
    times, found = [], []
    query(queries[0], bound)
    # As few as tell something of an engine that takes long.
    for vector in queries[:len(queries) if count <= 200_000 else 10]:
        begin = time.perf_counter()
        found.append(query(vector, bound))
        times.append((time.perf_counter() - begin) * 1000)
    series.append({"name": name, "milliseconds": times, "found": found})


def kilobytes(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name + ":"))


disk = sum(os.path.getsize(os.path.join(where, name)) for where, _, names in os.walk(place) for name in names)
print(json.dumps({"insertSeconds": seconds, "series": series, "disk": disk, "resident": kilobytes("VmRSS") << 10,
                  "anonymous": kilobytes("RssAnon") << 10}))

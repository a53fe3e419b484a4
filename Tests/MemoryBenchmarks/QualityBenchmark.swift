struct QualityBenchmark {
  func run(tunes: Bool) async throws {}
}

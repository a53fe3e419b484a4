// libcrypto: hashes.
#pragma once
#include <openssl/evp.h>

// libcurl, and what its variadic and macro parts look like to Swift.
#pragma once
#include <curl/curl.h>

static inline CURLcode bat_curl_set_long(CURL *easy, CURLoption option, long value) { return curl_easy_setopt(easy, option, value); }
static inline CURLcode bat_curl_set_pointer(CURL *easy, CURLoption option, const void *value) { return curl_easy_setopt(easy, option, value); }
static inline CURLcode bat_curl_set_write(CURL *easy, curl_write_callback callback, void *context) {
  CURLcode code = curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, callback);
  return code != CURLE_OK ? code : curl_easy_setopt(easy, CURLOPT_WRITEDATA, context);
}
static inline CURLcode bat_curl_get_long(CURL *easy, CURLINFO info, long *value) { return curl_easy_getinfo(easy, info, value); }
static inline const char *bat_curl_get_text(CURL *easy, CURLINFO info) {
  char *text = NULL;
  return curl_easy_getinfo(easy, info, &text) == CURLE_OK ? text : NULL;
}
static inline CURLcode bat_curl_get_offset(CURL *easy, CURLINFO info, curl_off_t *value) { return curl_easy_getinfo(easy, info, value); }

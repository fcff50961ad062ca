/// @file
/// Options of uploads and downloads, for compute sessions and virtual folders alike.
#ifndef BACKENDAI_FILES_TRANSFER_OPTIONS_HPP
#define BACKENDAI_FILES_TRANSFER_OPTIONS_HPP

#include <backendai/codec/path_rules.hpp>
#include <backendai/files/progress.hpp>
#include <backendai/version.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

BACKENDAI_NAMESPACE_BEGIN

/// What an upload does with what cannot be sent: sockets, FIFOs, devices, and symbolic links that lead out of the base
/// directory, in a circle, or nowhere.
enum class special_files {
    refuse, ///< client_error{argument} that names it, before anything is sent
    skip    ///< leave it out
};

/// Options of upload(). Symbolic links are taken for what they lead to: links to directories that hold such links can
/// multiply a small tree beyond all limits, and the listing then ends by the call's time limit or cancel token.
struct upload_options {
    /// Names on the server are relative to this; empty: the current working directory.
    std::filesystem::path basedir = {};
    progress_callback progress = {};
    special_files special = special_files::refuse;
    /// What a file is called on the server, from the name it would have without this; unset: that one. For two files of
    /// one name client_error{argument} comes before anything is sent.
    std::function<std::string(const std::string&)> rename = {};
    /// Virtual folders behind a storage proxy only: bytes sent in one request, so that no more than these are sent
    /// again when a connection is lost.
    std::uint64_t chunk_size = std::uint64_t{16} << 20;
    /// Virtual folders behind a storage proxy only: where to note, as long as the upload is not complete, what a later
    /// call needs to go on where this one stops, be the program killed. That call must be for the same folder; files
    /// that have changed since are sent anew. It holds tokens and is for its owner only (mode 0600); two uploads at a
    /// time must not use the same. Empty: nothing is noted.
    std::filesystem::path resume_file = {};
};

/// What a download does where a file of that name exists.
enum class existing_files {
    overwrite, ///< replace it when the new one is whole; a symbolic link is replaced, not followed
    skip,      ///< keep it
    fail       ///< client_error{io}; files that exist before the call are found before anything is sent
};

/// Options of download().
struct download_options {
    existing_files existing = existing_files::overwrite;
    progress_callback progress = {};
    /// Which names are acceptable. The default refuses what is special on any system, and names that differ from each
    /// other by case only; `posix` lets colons, `aux.c`, `README` beside `readme` and the like through.
    codec::path_policy names = codec::path_policy::portable;
    /// More decoded bytes than this in one call are an error; 0: as many as the server announces, or without limit
    /// when it announces nothing and compresses nothing.
    std::uint64_t max_bytes = 0;
    /// Virtual folders behind a storage proxy only: what a download does with the links in a directory.
    special_files special = special_files::refuse;
    /// Virtual folders behind a storage proxy only: what has come of a file stays when the download fails or the
    /// program is killed, under a hidden name (.backendai-*) beside it, and a later call with this option goes on
    /// there, unless the file has changed on the server.
    bool resume = false;
};

BACKENDAI_NAMESPACE_END

#endif

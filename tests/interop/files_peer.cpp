/// @file
/// The SDK's file transfers as a program, for the scripts beside it; the server is the one that BACKEND_* name.
///   files_peer vfolder-upload NAME BASEDIR             everything below BASEDIR
///   files_peer vfolder-download NAME DEST FILE...
///   files_peer kernel-upload ID BASEDIR
///   files_peer kernel-download ID DEST FILE...
///   files_peer kernel-list ID PATH                     prints "MODE SIZE NAME" lines
///   files_peer extract DEST  < archive                 as a session's download does with an archive
#include <backendai.hpp>

#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

namespace {

void extract(const std::string& dest) {
    backendai::detail::destination<> target(dest, backendai::existing_files::overwrite);
    backendai::detail::transfer_meter meter({});
    backendai::codec::name_collisions names;
    backendai::detail::tar_extractor<> extractor(target, backendai::codec::path_policy::posix, names, meter);
    backendai::codec::tar_reader reader(extractor);
    std::vector<char> block(10'000);
    while (std::cin.read(block.data(), static_cast<std::streamsize>(block.size())) || std::cin.gcount() != 0)
        reader.feed({block.data(), static_cast<std::size_t>(std::cin.gcount())});
    reader.finish();
    target.commit();
}

void run(const std::vector<std::string>& words) {
    if (words[0] == "extract") return extract(words.at(1));
    backendai::session session;
    backendai::upload_options up;
    backendai::download_options down;
    down.names = backendai::codec::path_policy::posix;
    const std::string& place = words.at(2);
    const std::vector<std::string> files(words.begin() + 3, words.end());
    if (words[0] == "vfolder-upload") {
        up.basedir = place;
        session.vfolder(words[1]).upload({place}, up);
    } else if (words[0] == "vfolder-download") {
        session.vfolder(words[1]).download(files, place, down);
    } else if (words[0] == "kernel-upload") {
        up.basedir = place;
        session.kernel(words[1]).upload({place}, up);
    } else if (words[0] == "kernel-download") {
        session.kernel(words[1]).download(files, place, down);
    } else if (words[0] == "kernel-list") {
        for (const auto& file : session.kernel(words[1]).list_files(place).files)
            std::cout << file.mode << ' ' << file.size << ' ' << file.filename << '\n';
    } else {
        throw std::invalid_argument("see the head of files_peer.cpp");
    }
}

} // namespace

int main(int argc, char** argv) {
    try {
        if (argc < 3) throw std::invalid_argument("see the head of files_peer.cpp");
        run({argv + 1, argv + argc});
        return 0;
    } catch (const std::exception& e) {
        std::cerr << e.what() << '\n';
        return 1;
    }
}

#include <backendai/codec/name_collisions.hpp>

#include <doctest/doctest.h>

#include <string>

namespace codec = backendai::codec;

namespace {

// Adds names one after the other; the message of the first that is refused.
std::string collision(std::initializer_list<const char*> names) {
    codec::name_collisions known;
    for (const char* name : names) {
        try {
            known.add(codec::safe_relative_path(name));
        } catch (const codec::decode_error& e) {
            return e.what();
        }
    }
    return "";
}

} // namespace

TEST_CASE("names that differ by more than case, and a name again, do not collide") {
    CHECK(collision({"a", "b", "a", "a/b", "b/a", "aa", "a", "\xc3\xa4", "\xc3\xb6"}) == "");
    CHECK(collision({"d/x", "e/X", "x"}) == "");      // of different directories
    CHECK(collision({"\xc3\x97", "\xc3\xb7"}) == ""); // the signs of multiplication and division are no pair
    CHECK(collision({"\xed\x95\x9c", "\xea\xb8\x80"}) == "");
}

TEST_CASE("names that differ by case only collide, in any component and script") {
    CHECK(collision({"README", "readme"}) ==
          "unsafe file name 'readme': differs only by case from an earlier name with 'README'");
    CHECK(collision({"d/sub/x", "D/other"}).find("'D/other'") != std::string::npos);
    CHECK(collision({"file", "FILE/x"}) != ""); // a directory in the place of a file
    CHECK(collision({"d/x", "d/X"}) != "");
    for (const auto& pair : {std::pair<const char*, const char*>{"\xc3\x84", "\xc3\xa4"}, // Latin-1
                             {"\xc3\x9e", "\xc3\xbe"},
                             {"\xc5\xb8", "\xc3\xbf"}, // y with diaeresis, far apart
                             {"\xc4\x80", "\xc4\x81"}, // Latin Extended-A: even first
                             {"\xc5\xbd", "\xc5\xbe"}, // and odd first
                             {"\xc5\x81", "\xc5\x82"},
                             {"\xe1\xba\xa4", "\xe1\xba\xa5"}, // Vietnamese
                             {"\xce\xa9", "\xcf\x89"},         // Greek
                             {"\xce\x86", "\xce\xac"},
                             {"\xd0\x96", "\xd0\xb6"}, // Cyrillic
                             {"\xd0\x81", "\xd1\x91"},
                             {"\xd4\xb1", "\xd5\xa1"}, // Armenian
                             {"\xef\xbc\xa1", "\xef\xbd\x81"}}) {
        CAPTURE(pair.first);
        CHECK(collision({pair.first, pair.second}) != "");
        CHECK(collision({pair.second, pair.first}) != "");
    }
}

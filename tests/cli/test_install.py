"""What `cmake --install` leaves: a command that finds its model, pages, and libraries that other
projects build against, shared and static, through pkg-config and through find_package."""
import glob
import os
import shutil
import subprocess
import tempfile
import unittest

from support import CLIP_B, SOURCE

BUILD = os.path.dirname(os.environ["STAPES_BIN"])

PROJECT = """cmake_minimum_required(VERSION 3.22)
project(user LANGUAGES C)
find_package(stapes 0.1 REQUIRED)
add_executable(user_shared file.c)
target_link_libraries(user_shared PRIVATE stapes::stapes)
add_executable(user_static file.c)
target_link_libraries(user_static PRIVATE stapes::static)
"""


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.prefix = os.path.join(cls.folder.name, "prefix")
        cls.run_in("cmake", "--install", BUILD, "--prefix", cls.prefix)
        (cls.pc,) = glob.glob(cls.prefix + "/lib*/**/stapes.pc", recursive=True)
        cls.lib = os.path.dirname(os.path.dirname(cls.pc))
        cls.env = dict(os.environ, PKG_CONFIG_PATH=os.path.dirname(cls.pc),
                       XDG_CACHE_HOME=os.path.join(cls.folder.name, "cache"))
        shutil.copy(os.path.join(SOURCE, "examples/file.c"), cls.folder.name)
        # A sanitized library needs its run-time in the program too.
        with open(os.path.join(BUILD, "CMakeCache.txt"), encoding="utf-8") as cache:
            values = [line.split("=", 1)[1].strip() for line in cache
                      if line.startswith("STAPES_SANITIZE:")]
        cls.flags = ["-fsanitize=" + value for value in values if value]

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    @classmethod
    def run_in(cls, *words, env=None):
        done = subprocess.run(words, cwd=cls.folder.name, env=env, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=300, check=False)
        if done.returncode != 0:
            raise AssertionError(f"{words}: {done.stderr.decode()}\n{done.stdout.decode()}")
        return done.stdout.decode()

    def check_program(self, path, *model):
        env = dict(self.env, LD_LIBRARY_PATH=self.lib)
        self.assertTrue(self.run_in(path, CLIP_B, *model, env=env).strip())

    def check_static(self, path):
        """The library has moved into the program and cannot look beside itself for the model."""
        self.assertNotIn("libstapes", self.run_in("ldd", path))
        self.check_program(path, os.path.join(self.prefix, "share/stapes/models/nano"))

    def test_command(self):
        command = os.path.join(self.prefix, "bin/stapes")
        text = self.run_in(command, "-q", CLIP_B, env=self.env)
        self.assertEqual(text, self.run_in(os.environ["STAPES_BIN"], "-q", CLIP_B, env=self.env))
        detail = subprocess.run([command, "-v", CLIP_B], env=self.env, stderr=subprocess.PIPE,
                                stdout=subprocess.DEVNULL, check=True).stderr.decode()
        self.assertIn(os.path.realpath(self.prefix), os.path.realpath(
            [word for word in detail.replace(":", " ").split() if word.endswith("nano")][0]))

    def test_pages(self):
        for name in ("man/man1/stapes.1", "bash-completion/completions/stapes",
                     "zsh/site-functions/_stapes", "fish/vendor_completions.d/stapes.fish"):
            with open(os.path.join(self.prefix, "share", name), encoding="utf-8") as page:
                self.assertIn("transcribe", page.read())

    def config(self, *words):
        return self.run_in("pkg-config", *words, "stapes", env=self.env).split()

    def test_pkg_config_shared(self):
        self.run_in("cc", "file.c", *self.flags, *self.config("--cflags", "--libs"), "-o", "one")
        self.check_program("./one")

    def test_pkg_config_static(self):
        libs = [os.path.join(self.lib, "libstapes.a") if word == "-lstapes" else word
                for word in self.config("--static", "--libs")]
        self.run_in("cc", "file.c", *self.flags, *self.config("--cflags"), *libs, "-o", "two")
        self.check_static("./two")

    def test_find_package(self):
        with open(os.path.join(self.folder.name, "CMakeLists.txt"), "w", encoding="utf-8") as file:
            file.write(PROJECT)
        self.run_in("cmake", "-S", ".", "-B", "build", "-G", "Ninja",
                    "-DCMAKE_PREFIX_PATH=" + self.prefix, "-DCMAKE_C_FLAGS=" + " ".join(self.flags))
        self.run_in("cmake", "--build", "build")
        self.check_program("build/user_shared")
        self.check_static("build/user_static")

    def test_exported_symbols(self):
        (shared,) = glob.glob(self.lib + "/libstapes.so.?")
        names = [line.split()[-1] for line in
                 self.run_in("nm", "-D", "--defined-only", shared).splitlines()]
        self.assertEqual([name for name in names if not name.startswith("stapes_") or
                          name.startswith("stapes__")], [])
        self.assertLessEqual(len(names), 32)


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""The dashboard's list of assets is complete, and the page names nothing beside them."""

import os
import re
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WEB = os.path.join(ROOT, "web")


def assets():
    with open(os.path.join(WEB, "assets.txt"), encoding="utf-8") as file:
        return dict(line.split() for line in file if line.strip())


class DashboardAssetsTest(unittest.TestCase):
    def test_every_file_of_the_page_is_listed(self):
        listed = set(assets().values())
        for folder in ("src", "src/pages", "style"):
            for name in os.listdir(os.path.join(WEB, folder)):
                if name.endswith((".js", ".css")):
                    self.assertIn(f"{folder}/{name}", listed)

    def test_every_import_leads_to_an_asset(self):
        paths = assets()
        for url, path in paths.items():
            if not path.startswith("src/"):
                continue
            with open(os.path.join(WEB, path), encoding="utf-8") as file:
                source = file.read()
            for target in re.findall(r"from '(\.[^']+)'", source):
                wanted = os.path.normpath(os.path.join(os.path.dirname(url), target))
                self.assertIn(wanted, paths, f"{path} imports {target}")

    def test_the_page_names_only_assets_and_no_other_host(self):
        paths = assets()
        with open(os.path.join(WEB, "index.html"), encoding="utf-8") as file:
            page = file.read()
        for target in re.findall(r'(?:src|href)="([^"#]+)"', page):
            self.assertIn(target, paths)
        modules = {url for url in paths if url.endswith(".js") and "/pages/" not in url}
        preloaded = set(re.findall(r'modulepreload" href="([^"]+)"', page))
        self.assertEqual(modules - preloaded, {"/assets/app.js", "/assets/boot.js"})
        self.assertNotRegex(page, r"https?://|style=|\son\w+=")


if __name__ == "__main__":
    unittest.main()

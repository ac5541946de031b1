"""The contract of object stores: the URLs that it hands out."""

from urllib.parse import unquote, urlsplit

import pytest

from tams_gateway.storage.objects import ObjectStore, Place
from tams_gateway.testing.object_samples import KEY, TYPE


class UrlsContract:
    """What an object store promises of the URLs that it hands out, and tells of itself."""

    @pytest.mark.parametrize("presigned", [True, False])
    def test_an_upload_url_is_as_wished_and_has_the_ending(
        self, store: ObjectStore, presigned: bool
    ) -> None:
        """R-STO-09, B6, B27: the path is the key's, the flag tells whether it is signed."""
        upload = store.upload(KEY, TYPE, presigned=presigned)

        assert presigned is upload.presigned
        assert presigned is bool(urlsplit(upload.url).query)
        assert unquote(urlsplit(upload.url).path).endswith(KEY)

    def test_download_urls_are_as_wished(self, store: ObjectStore) -> None:
        """B7, B8: a client that may not send a signature asks for URLs without one."""
        place = Place(KEY, store.write(KEY, TYPE, [b"data"]).version)
        [signed] = store.download([place], presigned=True)
        [plain] = store.download([place], presigned=False)

        assert urlsplit(signed).query
        assert not urlsplit(plain).query

    @pytest.mark.parametrize("presigned", [True, False])
    def test_download_urls_end_as_the_key_does(self, store: ObjectStore, presigned: bool) -> None:
        """B27: players refuse a segment whose path has no fitting ending."""
        keys = ["a/b.ts", "a/b.m4s", "init.mp4", "sound.wav"]
        urls = store.download([Place(key) for key in keys], presigned=presigned)
        for key, url in zip(keys, urls, strict=True):
            assert unquote(urlsplit(url).path).endswith(key)

    @pytest.mark.parametrize("presigned", [True, False])
    def test_a_page_of_download_urls_comes_in_order(
        self, store: ObjectStore, presigned: bool
    ) -> None:
        """A listing asks for 1000 places at once; none needs to be there."""
        places = [Place(f"page/{number}.ts") for number in range(1000)]
        found = store.download(places, presigned=presigned)

        assert [place.key for place in places] == [
            "/".join(urlsplit(url).path.split("/")[-2:]) for url in found
        ]
        assert [] == store.download([], presigned=presigned)

    def test_a_store_says_what_it_is_and_that_it_works(self, store: ObjectStore) -> None:
        """For the storage-backend document (R-STB-01), and for `tams-gateway check`."""
        product = store.describe()

        assert product.provider
        assert product.store_product
        assert store.check().ok
        assert store.check().detail

"""The nouns of the App API as attributes. A noun is imported at its first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.app_api.activities import Activities
    from core.app_api.asset_folders import AssetFolders
    from core.app_api.assets import Assets
    from core.app_api.broadcast_actions import BroadcastActions
    from core.app_api.broadcasts import Broadcasts
    from core.app_api.campaign_actions import CampaignActions
    from core.app_api.campaigns import Campaigns
    from core.app_api.collections import Collections
    from core.app_api.customers import Customers
    from core.app_api.data_index import DataIndex
    from core.app_api.design_studio_components import DesignStudioComponents
    from core.app_api.design_studio_emails import DesignStudioEmails
    from core.app_api.design_studio_folders import DesignStudioFolders
    from core.app_api.design_studio_languages import DesignStudioLanguages
    from core.app_api.design_studio_sms import DesignStudioSms
    from core.app_api.design_studio_versions import DesignStudioVersions
    from core.app_api.esp_suppression import EspSuppression
    from core.app_api.exports import Exports
    from core.app_api.imports import Imports
    from core.app_api.inbox_previews import InboxPreviews
    from core.app_api.info import Info
    from core.app_api.live_notifications import LiveNotifications
    from core.app_api.messages import Messages
    from core.app_api.newsletter_contents import NewsletterContents
    from core.app_api.newsletter_languages import NewsletterLanguages
    from core.app_api.newsletter_test_groups import NewsletterTestGroups
    from core.app_api.newsletters import Newsletters
    from core.app_api.objects import Objects
    from core.app_api.optouts import Optouts
    from core.app_api.reporting_webhooks import ReportingWebhooks
    from core.app_api.segments import Segments
    from core.app_api.send import Send
    from core.app_api.sender_identities import SenderIdentities
    from core.app_api.snippets import Snippets
    from core.app_api.subscription_center import SubscriptionCenter
    from core.app_api.transactional import Transactional
    from core.app_api.workspaces import Workspaces
    from core.http.client import HttpClient


class Nouns:
    """One property for each noun, in alphabetical order."""

    _http: HttpClient

    # A noun is created at each access. Stored in the client, it would form a reference cycle: a
    # client that is no longer used would keep its connections open until garbage collection.
    @property
    def activities(self) -> Activities:
        """The activity log of the workspace."""
        from core.app_api.activities import Activities

        return Activities(self._http)

    @property
    def asset_folders(self) -> AssetFolders:
        """Folders of assets."""
        from core.app_api.asset_folders import AssetFolders

        return AssetFolders(self._http)

    @property
    def assets(self) -> Assets:
        """Images and PDF files for messages."""
        from core.app_api.assets import Assets

        return Assets(self._http)

    @property
    def broadcast_actions(self) -> BroadcastActions:
        """The messages of a broadcast."""
        from core.app_api.broadcast_actions import BroadcastActions

        return BroadcastActions(self._http)

    @property
    def broadcasts(self) -> Broadcasts:
        """Broadcasts, which an API call triggers."""
        from core.app_api.broadcasts import Broadcasts

        return Broadcasts(self._http)

    @property
    def campaign_actions(self) -> CampaignActions:
        """The steps of a campaign."""
        from core.app_api.campaign_actions import CampaignActions

        return CampaignActions(self._http)

    @property
    def campaigns(self) -> Campaigns:
        """Campaigns and their metrics."""
        from core.app_api.campaigns import Campaigns

        return Campaigns(self._http)

    @property
    def collections(self) -> Collections:
        """Tables whose values messages can use."""
        from core.app_api.collections import Collections

        return Collections(self._http)

    @property
    def customers(self) -> Customers:
        """The people of the workspace, read only."""
        from core.app_api.customers import Customers

        return Customers(self._http)

    @property
    def data_index(self) -> DataIndex:
        """Descriptions of attributes and events."""
        from core.app_api.data_index import DataIndex

        return DataIndex(self._http)

    @property
    def design_studio_components(self) -> DesignStudioComponents:
        """Shared content blocks of Design Studio emails."""
        from core.app_api.design_studio_components import DesignStudioComponents

        return DesignStudioComponents(self._http)

    @property
    def design_studio_emails(self) -> DesignStudioEmails:
        """Emails of Design Studio, which are drafts until they are published."""
        from core.app_api.design_studio_emails import DesignStudioEmails

        return DesignStudioEmails(self._http)

    @property
    def design_studio_folders(self) -> DesignStudioFolders:
        """Folders of Design Studio."""
        from core.app_api.design_studio_folders import DesignStudioFolders

        return DesignStudioFolders(self._http)

    @property
    def design_studio_languages(self) -> DesignStudioLanguages:
        """Language versions of a Design Studio email."""
        from core.app_api.design_studio_languages import DesignStudioLanguages

        return DesignStudioLanguages(self._http)

    @property
    def design_studio_sms(self) -> DesignStudioSms:
        """SMS messages of Design Studio."""
        from core.app_api.design_studio_sms import DesignStudioSms

        return DesignStudioSms(self._http)

    @property
    def design_studio_versions(self) -> DesignStudioVersions:
        """Saved versions of a Design Studio email."""
        from core.app_api.design_studio_versions import DesignStudioVersions

        return DesignStudioVersions(self._http)

    @property
    def esp_suppression(self) -> EspSuppression:
        """Addresses that the email service provider (ESP) suppresses."""
        from core.app_api.esp_suppression import EspSuppression

        return EspSuppression(self._http)

    @property
    def exports(self) -> Exports:
        """Exports of people and deliveries to files."""
        from core.app_api.exports import Exports

        return Exports(self._http)

    @property
    def imports(self) -> Imports:
        """Imports of people, events, objects and relationships from CSV files."""
        from core.app_api.imports import Imports

        return Imports(self._http)

    @property
    def inbox_previews(self) -> InboxPreviews:
        """Screenshots of emails in real mail clients."""
        from core.app_api.inbox_previews import InboxPreviews

        return InboxPreviews(self._http)

    @property
    def info(self) -> Info:
        """Information about Customer.io, such as its IP addresses."""
        from core.app_api.info import Info

        return Info(self._http)

    @property
    def live_notifications(self) -> LiveNotifications:
        """Live Activities (iOS) and live updates (Android)."""
        from core.app_api.live_notifications import LiveNotifications

        return LiveNotifications(self._http)

    @property
    def messages(self) -> Messages:
        """Deliveries of all campaigns, newsletters and channels."""
        from core.app_api.messages import Messages

        return Messages(self._http)

    @property
    def newsletter_contents(self) -> NewsletterContents:
        """The contents of a newsletter, by language and test group."""
        from core.app_api.newsletter_contents import NewsletterContents

        return NewsletterContents(self._http)

    @property
    def newsletter_languages(self) -> NewsletterLanguages:
        """The language versions of a newsletter."""
        from core.app_api.newsletter_languages import NewsletterLanguages

        return NewsletterLanguages(self._http)

    @property
    def newsletter_test_groups(self) -> NewsletterTestGroups:
        """The A/B test groups of a newsletter."""
        from core.app_api.newsletter_test_groups import NewsletterTestGroups

        return NewsletterTestGroups(self._http)

    @property
    def newsletters(self) -> Newsletters:
        """Newsletters: messages sent once to many people."""
        from core.app_api.newsletters import Newsletters

        return Newsletters(self._http)

    @property
    def objects(self) -> Objects:
        """Objects such as companies or accounts, and their relationships."""
        from core.app_api.objects import Objects

        return Objects(self._http)

    @property
    def optouts(self) -> Optouts:
        """Opt-outs from senders of SMS and WhatsApp messages."""
        from core.app_api.optouts import Optouts

        return Optouts(self._http)

    @property
    def reporting_webhooks(self) -> ReportingWebhooks:
        """Reporting webhooks, which Customer.io posts message events to."""
        from core.app_api.reporting_webhooks import ReportingWebhooks

        return ReportingWebhooks(self._http)

    @property
    def segments(self) -> Segments:
        """Segments: groups of people, defined by rules or maintained manually."""
        from core.app_api.segments import Segments

        return Segments(self._http)

    @property
    def send(self) -> Send:
        """Sending of transactional messages to one person each."""
        from core.app_api.send import Send

        return Send(self._http)

    @property
    def sender_identities(self) -> SenderIdentities:
        """Names and addresses of senders of e-mails."""
        from core.app_api.sender_identities import SenderIdentities

        return SenderIdentities(self._http)

    @property
    def snippets(self) -> Snippets:
        """Content that several messages share."""
        from core.app_api.snippets import Snippets

        return Snippets(self._http)

    @property
    def subscription_center(self) -> SubscriptionCenter:
        """Topics and channels that people can subscribe to."""
        from core.app_api.subscription_center import SubscriptionCenter

        return SubscriptionCenter(self._http)

    @property
    def transactional(self) -> Transactional:
        """Transactional messages: templates, contents and metrics."""
        from core.app_api.transactional import Transactional

        return Transactional(self._http)

    @property
    def workspaces(self) -> Workspaces:
        """The workspaces of the account."""
        from core.app_api.workspaces import Workspaces

        return Workspaces(self._http)
